//! Which accounts stay in memory.

use xmpp::address::AccountNumber;

use super::Accounts;
use crate::numbers::NumberHasher;

fn number(value: u64) -> AccountNumber {
    AccountNumber::new(value).expect("a number")
}

fn idle(accounts: &mut Accounts, value: u64) {
    accounts.insert(number(value)).loading = false;
    accounts.settle(number(value));
}

#[test]
fn idle_accounts_are_bounded_and_the_unused_go_first() {
    let mut accounts = Accounts::new(NumberHasher::new([7; 16]), 3);
    for value in 1..=3 {
        idle(&mut accounts, value);
    }
    accounts.get_mut(number(1));
    for value in 4..=5 {
        idle(&mut accounts, value);
    }
    assert_eq!(accounts.accounts.len(), 3);
    assert!(accounts.get(number(1)).is_some(), "it was used");
    assert!(accounts.get(number(2)).is_none() && accounts.get(number(3)).is_none());
}

#[test]
fn an_account_in_use_is_not_forgotten() {
    let mut accounts = Accounts::new(NumberHasher::new([7; 16]), 0);
    // Each is needed for another reason.
    accounts.insert(number(1)).loading = true;
    let account = accounts.insert(number(2));
    account.loading = false;
    account.lines.push(0);
    let account = accounts.insert(number(3));
    account.loading = false;
    account.last_write = Some(7);
    for value in 1..=4 {
        accounts.settle(number(value));
    }
    idle(&mut accounts, 4);
    assert_eq!(accounts.accounts.len(), 3);
    // And goes once that is over.
    accounts.get_mut(number(3)).expect("it is there").last_write = None;
    accounts.settle(number(3));
    assert!(accounts.get(number(3)).is_none());
}
