//! Random conversations: SQLite must answer each as the reference does, also when it is closed and opened in between.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::session::WHOLE;
use crate::sqlite::{Config, tests::Place};
use crate::{ArchiveId, ArchiveOp, ArchivePaging, ArchiveQuery, DocumentOp, Origin, Quota, SessionOp, Space};

fn any_number() -> impl Strategy<Value = AccountNumber> {
    select(vec![7, 10_001, 10_002, 10_003, 10_004]).prop_map(number)
}

fn any_contact() -> impl Strategy<Value = BareJid> {
    select(vec!["a@x", "b@x", "b@y", "x", "10001@localhost"]).prop_map(contact)
}

fn any_id() -> impl Strategy<Value = OfflineId> {
    prop_oneof![0..12_u64, select(vec![(1 << 35) - 1, 1 << 35, 1 << 63, u64::MAX])].prop_map(OfflineId)
}

fn any_item() -> impl Strategy<Value = RosterItem> {
    let who_sees = select(vec![Subscription::None, Subscription::To, Subscription::From, Subscription::Both]);
    let marks = (any::<bool>(), any::<bool>(), any::<bool>());
    let texts =
        (proptest::option::of(".{0,5}"), vec(".{0,5}", 0..3), proptest::option::of(vec(any::<u8>(), 0..9)));
    (any_contact(), who_sees, marks, texts).prop_map(|(contact, subscription, marks, texts)| {
        let ((listed, ask, approved), (name, groups, pending_in)) = (marks, texts);
        RosterItem { contact, listed, name, groups, subscription, ask, approved, pending_in }
    })
}

fn any_hold() -> impl Strategy<Value = Hold> {
    prop_oneof![Just(Hold::First), any_number().prop_map(Hold::This), Just(Hold::Later)]
}

fn any_token_change() -> impl Strategy<Value = Op> {
    let authority = prop_oneof![
        (0..9_u8).prop_map(|mark| Authority::Password(credentials(mark).mark())),
        (0..4_u8, proptest::option::of(0..4_u32))
            .prop_map(|(nonce, count)| Authority::Token { nonce: [nonce; 32], count }),
    ];
    let issue = proptest::option::of((0..4_u8, 0..9_u64)).prop_map(|issue| {
        issue.map(|(nonce, expires)| NewToken {
            nonce: [nonce; 32],
            mechanism: "HT".to_owned(),
            expires: NOW + Duration::from_millis(expires),
        })
    });
    (any_number(), 0..3_u8, authority, proptest::bool::weighted(0.1), issue).prop_map(
        |(number, agent, authority, forget, issue)| {
            let agent = [agent; 32];
            Op::ChangeTokens(Box::new(TokenChange { number, agent, authority, forget, issue }))
        },
    )
}

fn any_archive_id() -> impl Strategy<Value = ArchiveId> {
    // Around the time at which messages leave the archive, and some that nobody has.
    let near = (0..4_000_u64, 0..2_u64).prop_map(|(seconds, step)| {
        let at = Wallclock::from_millis(NOW.as_millis() - 3_900_000 + seconds * 1000);
        ArchiveId(ArchiveId::first_at(at).0 + step)
    });
    prop_oneof![9 => near, 1 => select(vec![0, 1, u64::MAX >> 2]).prop_map(ArchiveId)]
}

fn any_archive_op() -> impl Strategy<Value = ArchiveOp> {
    let with = || select(vec!["a@x", "b@x", "10001@localhost"]);
    let full = || select(vec!["a@x/1", "a@x/2", "b@x"]);
    let append = (any_number(), any_archive_id(), with(), full()).prop_map(|(number, id, with, to)| {
        let stanza = format!("<message to='{to}'/>").into_bytes();
        ArchiveOp::Append { number, id, with: with.into(), stanza }
    });
    let id = any_archive_id;
    let paging = prop_oneof![
        Just(ArchivePaging::First),
        Just(ArchivePaging::Last),
        (0..9_u64).prop_map(ArchivePaging::Index),
        id().prop_map(ArchivePaging::After),
        id().prop_map(ArchivePaging::Before),
    ];
    let option = proptest::option::weighted::<BoxedStrategy<ArchiveId>>;
    let times = (option(0.3, id().boxed()), option(0.3, id().boxed()));
    let ids = (option(0.1, id().boxed()), option(0.1, id().boxed()));
    let who = (proptest::option::of(with()), proptest::option::weighted(0.2, full()));
    let page = (any_number(), times, ids, who, paging, 0..6_u32).prop_map(
        |(number, (start, end), (after, before), (with, full), page, limit)| {
            let query = ArchiveQuery {
                with: with.map(contact),
                full: full.map(Box::from),
                start: start.map(ArchiveId::received),
                end: end.map(ArchiveId::received),
                after,
                before,
                page,
                limit,
            };
            ArchiveOp::Page { number, query: Box::new(query) }
        },
    );
    prop_oneof![
        9 => append,
        6 => page,
        1 => (any_number(), vec(id(), 0..3)).prop_map(|(number, ids)| ArchiveOp::Pick { number, ids }),
        1 => any_number().prop_map(|number| ArchiveOp::Ends { number }),
        // So many that one call sees everything: where it stopped is not kept over a restart.
        1 => Just(ArchiveOp::Sweep { rows_max: 10_000 }),
    ]
}

fn any_document_op() -> impl Strategy<Value = DocumentOp> {
    let key = || (any_number(), select(vec![Space::Private, Space::VCard]), select(vec!["a", "b", "c"]));
    prop_oneof![
        (key(), vec(any::<u8>(), 0..9)).prop_map(|((number, space, name), value)| DocumentOp::Put {
            number,
            space,
            name: name.into(),
            value,
            quota: Quota { documents_max: 2, bytes_max: 12 },
        }),
        key().prop_map(|(number, space, name)| DocumentOp::Load { number, space, name: name.into() }),
        key().prop_map(|(number, space, name)| DocumentOp::Remove { number, space, name: name.into() }),
        key().prop_map(|(number, space, _)| DocumentOp::Names { number, space }),
    ]
}

/// Of two sessions of one number, and few stanzas, so that some are counted and some stay ahead of the count.
fn any_session_op() -> impl Strategy<Value = SessionOp> {
    let key = || 1..3_u64;
    let number = AccountNumber::FIRST;
    prop_oneof![
        3 => (key(), 0..9_u32).prop_map(move |(key, h)| SessionOp::Count { key, number, h }),
        6 => key().prop_map(move |key| SessionOp::Handled { key, number }),
        1 => (key(), 0..4_u64).prop_map(|(key, mark)| SessionOp::CameAgain { key, mark }),
        2 => key().prop_map(|key| SessionOp::Forget { key }),
        2 => (0..9_u64).prop_map(|ms| SessionOp::Begin { until: NOW + Duration::from_millis(ms) }),
    ]
}

fn on_behalf(op: impl Strategy<Value = Op>) -> impl Strategy<Value = Op> {
    let share = select(vec![WHOLE, WHOLE / 2]);
    (1..3_u64, 1..9_u32, 0..3_u32, share, 0..4_u64, op).prop_map(|(key, h, floor, share, mark, op)| {
        Op::OnBehalf(Box::new((Origin { key, number: AccountNumber::FIRST, h, floor, share, mark }, op)))
    })
}

fn any_op() -> impl Strategy<Value = Op> {
    let n = any_number;
    let any_credentials = || (0..9_u8).prop_map(credentials);
    let create = (proptest::option::of(n()), proptest::option::of(".{0,5}"), any_credentials())
        .prop_map(|(number, name, credentials)| Op::CreateAccount { number, name, credentials });
    let push = || {
        (n(), 0..9_u64, vec(any::<u8>(), 0..60)).prop_map(|(number, stamp, stanza)| Op::PushOffline {
            number,
            stamp: Wallclock::from_millis(stamp),
            stanza,
        })
    };
    let delete =
        (n(), any_id(), any_id()).prop_map(|(number, first, last)| Op::DeleteOffline { number, first, last });
    prop_oneof![
        4 => create,
        9 => push(),
        9 => on_behalf(push()),
        12 => on_behalf(any_archive_op().prop_map(Op::Archive)),
        6 => any_session_op().prop_map(Op::Session),
        3 => delete,
        3 => (n(), any_id(), 0..6_u32).prop_map(|(number, after, limit)| Op::LoadOffline { number, after, limit }),
        2 => n().prop_map(|number| Op::CountOffline { number }),
        4 => (n(), any_item()).prop_map(|(number, item)| Op::PutRosterItem { number, item: Box::new(item) }),
        2 => (n(), any_contact()).prop_map(|(number, contact)| Op::RemoveRosterItem { number, contact }),
        2 => n().prop_map(|number| Op::LoadRoster { number }),
        1 => n().prop_map(|number| Op::DeleteAccount { number }),
        1 => n().prop_map(|number| Op::LoadAccount { number }),
        1 => n().prop_map(|number| Op::LoadCredentials { number }),
        1 => (n(), any_credentials()).prop_map(|(number, credentials)| Op::SetCredentials { number, credentials }),
        1 => (n(), any::<bool>()).prop_map(|(number, enabled)| Op::SetEnabled { number, enabled }),
        1 => (n(), any::<bool>()).prop_map(|(number, admin)| Op::SetAdmin { number, admin }),
        1 => n().prop_map(|number| Op::RevokeTokens { number }),
        3 => (n(), 0..3_u8).prop_map(|(number, agent)| Op::LoadTokens { number, agent: [agent; 32] }),
        6 => any_token_change(),
        4 => (0..4_u8, any_hold(), 0..2_u64).prop_map(|(mark, hold, expires)| Op::CreateInvite {
            mark: [mark; 32],
            hold,
            // Some expire between one batch and the next.
            expires: NOW + Duration::from_millis(5 * expires),
            inviter: None,
        }),
        2 => (0..4_u8).prop_map(|mark| Op::ShowInvite { mark: [mark; 32] }),
        1 => Just(Op::ListInvites),
        1 => n().prop_map(|number| Op::RevokeInvite { number }),
        2 => (0..4_u8, n(), any_credentials())
            .prop_map(|(mark, number, credentials)| Op::AcceptInvite { mark: [mark; 32], number, credentials }),
        1 => (n(), proptest::option::of(".{0,5}")).prop_map(|(number, name)| Op::SetName { number, name }),
        20 => any_archive_op().prop_map(Op::Archive),
        5 => any_document_op().prop_map(Op::Document),
        1 => (proptest::option::of(n()), 0..4_u32).prop_map(|(after, limit)| Op::ListAccounts { after, limit }),
    ]
}

fn batches() -> impl Strategy<Value = Vec<Vec<Op>>> {
    vec(vec(any_op(), 1..20), 1..12)
}

/// Both answer all batches alike; `between` may replace the store after each, as a crash does.
fn agree<S: Backend>(batches: Vec<Vec<Op>>, store: S, between: Option<&dyn Fn(S) -> S>) {
    let mut reference = Memory::new(LIMITS);
    let mut store = store;
    for (at, ops) in batches.into_iter().enumerate() {
        let now = NOW + Duration::from_millis(at as u64);
        let mut batch: Vec<_> = (0..).zip(ops).map(|(token, op)| Request { token, op }).collect();
        let asked = batch.clone();
        let (mut expected, mut answered) = (Vec::new(), Vec::new());
        reference.run(now, &mut batch.clone(), &mut expected);
        store.run(now, &mut batch, &mut answered);
        for (request, (expected, answered)) in asked.iter().zip(expected.iter().zip(&answered)) {
            assert_eq!(expected, answered, "{request:?}");
        }
        assert_eq!(expected.len(), answered.len());
        if let Some(between) = between {
            store = between(store);
            let begin = || Op::Session(SessionOp::Begin { until: now + Duration::from_millis(2) });
            assert_eq!(reference.run_one(now, begin()), store.run_one(now, begin()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_says_what_the_reference_says(batches in batches()) {
        let store = Sqlite::in_memory(NOW, Config { limits: LIMITS, ..Config::default() }).unwrap();
        agree(batches, store, None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_says_so_too_when_opened_anew(batches in batches()) {
        let place = Place::new();
        agree(batches, place.open(), Some(&|store| {
            drop(store);
            place.open()
        }));
    }
}
