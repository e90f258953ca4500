//! Text on a grid: wide characters, words that wrap, control characters that do nothing.
//!
//! Spec: Unicode Standard Annex 11 (widths), 29 (what is one character to a reader).
//! Invariants: no line is wider than it may be; nothing of the text is lost.
//! Not here: where lines stand (`view`, `messages`).

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Text of others for a screen: control characters and those that turn the direction of everything after them are shown,
/// not obeyed; a tab is spaces.
#[must_use]
pub fn tame(text: &str) -> String {
    let mut tamed = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => tamed.push(c),
            '\t' => tamed.push_str("    "),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c if c.is_control() => tamed.extend(c.escape_default()),
            c => tamed.push(c),
        }
    }
    tamed
}

/// As much of a line as fits.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    for grapheme in text.graphemes(true) {
        if kept.width() + grapheme.width() + 1 > width {
            break;
        }
        kept.push_str(grapheme);
    }
    if width > 0 {
        kept.push('…');
    }
    kept
}

/// Lines of at most this width, broken between words where there are any.
pub(super) fn lines(text: &str, width: usize) -> Vec<String> {
    let width = width.max(2);
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        let mut used = 0;
        for word in paragraph.split_word_bounds() {
            let wide = word.width();
            if used + wide > width && !word.trim().is_empty() {
                if used > 0 && wide <= width {
                    lines.push(std::mem::take(&mut line).trim_end().to_owned());
                    used = 0;
                } else {
                    // Longer than a line: broken where it must be.
                    for grapheme in word.graphemes(true) {
                        if used + grapheme.width() > width {
                            lines.push(std::mem::take(&mut line));
                            used = 0;
                        }
                        line.push_str(grapheme);
                        used += grapheme.width();
                    }
                    continue;
                }
            }
            if used + wide > width {
                // Spaces at the end of a line are not seen.
                continue;
            }
            line.push_str(word);
            used += wide;
        }
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// The line being written, as it stands on the screen.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Input {
    pub(super) lines: Vec<String>,
    /// Where the cursor stands.
    pub(super) row: usize,
    pub(super) column: usize,
}

/// Breaks what is being written by width alone, so that the cursor never jumps. `cursor` counts characters.
pub(super) fn input(text: &str, cursor: usize, width: usize) -> Input {
    let width = width.max(2);
    let mut input = Input { lines: vec![String::new()], row: 0, column: 0 };
    let mut used = 0;
    let mut place = None;
    for (at, c) in text.chars().enumerate() {
        let wide = c.to_string().width();
        if c != '\n' && used + wide > width {
            input.lines.push(String::new());
            used = 0;
        }
        if at == cursor {
            place = Some((input.lines.len() - 1, used));
        }
        if c == '\n' {
            input.lines.push(String::new());
            used = 0;
        } else {
            input.lines.last_mut().expect("there is always a line").push(c);
            used += wide;
        }
    }
    (input.row, input.column) = place.unwrap_or((input.lines.len() - 1, used));
    input
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_wrap_and_nothing_is_lost() {
        assert_eq!(lines("the quick brown fox", 10), ["the quick", "brown fox"]);
        assert_eq!(lines("a\n\nb", 10), ["a", "", "b"]);
        assert_eq!(lines("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(lines("你好世界", 5), ["你好", "世界"]);
        assert_eq!(lines("", 5), [""]);
        let text = "Whatever the width, every word of this is somewhere: averyveryverylongword, 你好, end.";
        for width in 2..40 {
            let wrapped = lines(text, width);
            assert!(wrapped.iter().all(|line| line.width() <= width), "{width}: {wrapped:?}");
            let squeeze = |text: &str| text.replace([' ', '\n'], "");
            assert_eq!(squeeze(&wrapped.join("")), squeeze(text), "{width}");
        }
    }

    #[test]
    fn control_characters_do_nothing() {
        assert_eq!(tame("a\u{1b}[2Jb\u{202e}c\td"), "a\\u{1b}[2Jbc    d");
    }

    #[test]
    fn the_cursor_is_where_the_next_character_will_be() {
        for (text, cursor, width, row, column) in [
            ("", 0, 10, 0, 0),
            ("abc", 3, 10, 0, 3),
            ("abc", 1, 10, 0, 1),
            ("abcd", 4, 2, 1, 2),
            ("a\nb", 2, 10, 1, 0),
            ("你好", 1, 10, 0, 2),
        ] {
            let input = input(text, cursor, width);
            assert_eq!((input.row, input.column), (row, column), "{text} {cursor}");
        }
    }

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!(cut("hello", 5), "hello");
        assert_eq!(cut("hello", 4), "hel…");
        assert_eq!(cut("你好世界", 5), "你好…");
        assert_eq!(cut("hello", 0), "");
    }
}
