use super::*;

#[test]
fn wide_characters_take_two_columns() {
    let mut line = Line::new(6);
    line.text(0, "握手x", Ink::Plain);
    line.put(5, '|', Ink::Plain);
    let mut out = Vec::new();
    line.render(false, &mut out);
    let out = String::from_utf8(out).expect("text");
    assert_eq!(out, "握手x|\n");
    assert_eq!(width(out.trim_end()), 6);
}

#[test]
fn a_wide_character_that_does_not_fit_is_left_out() {
    let mut line = Line::new(3);
    assert_eq!(line.text(0, "握手", Ink::Plain), 2);
}

#[test]
fn lines_break_at_spaces_and_between_wide_characters() {
    assert_eq!(wrap("one two three", 8), ["one two", "three"]);
    assert_eq!(wrap("序列号，确认号", 8), ["序列号，", "确认号"]);
    // Punctuation never begins a line, so it takes the character before it along.
    assert_eq!(wrap("服务器发送，再收", 10), ["服务器发", "送，再收"]);
    assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
    assert_eq!(wrap("", 4), Vec::<String>::new());
}

#[test]
fn no_wrapped_line_is_wider_than_asked_for() {
    let text =
        "客户端 (client) 先调用 close()，于是发出 FIN；a long English sentence follows, and then 又是中文。";
    for columns in 10..60 {
        let lines = wrap(text, columns);
        assert!(lines.iter().all(|line| width(line) <= columns), "{columns}: {lines:?}");
        let strip = |s: &str| s.chars().filter(|c| *c != ' ').collect::<String>();
        assert_eq!(strip(&lines.concat()), strip(text));
    }
}
