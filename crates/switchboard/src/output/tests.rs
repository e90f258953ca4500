use super::*;

#[test]
fn text_of_others_cannot_command_the_terminal() {
    assert_eq!(tame("a\u{1b}[2Jb\rc\td"), "a\\u{1b}[2Jb\\rc\td");
    assert_eq!(tame("one\n10003: not me"), "one\n    10003: not me");
    assert_eq!(tame("grüße 👋"), "grüße 👋");
}

#[test]
fn columns_stand_below_each_other() {
    let rows = [["1", "é", ""], ["10001", "b", "x"]].map(|row| row.map(str::to_owned));
    assert_eq!(columns(&rows), ["1      é", "10001  b  x"]);
}
