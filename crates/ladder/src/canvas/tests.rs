use super::*;
use proptest::prelude::*;

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

/// A line as simple as can be: a character and an ink for each column.
#[derive(Clone)]
struct Model(Vec<(Option<char>, Ink)>);

impl Model {
    fn put(&mut self, column: usize, glyph: char, ink: Ink) {
        if let Some(cell) = self.0.get_mut(column) {
            *cell = (Some(glyph), ink);
        }
    }

    fn text(&mut self, mut column: usize, text: &str, ink: Ink) -> usize {
        for glyph in text.chars() {
            let columns = glyph.width().unwrap_or(0);
            if columns == 0 || column + columns > self.0.len() {
                continue;
            }
            self.put(column, glyph, ink);
            self.0[column + 1..column + columns].fill((None, ink));
            column += columns;
        }
        column
    }

    fn render(&self, colour: bool) -> String {
        let used = self.0.iter().rposition(|(glyph, _)| *glyph != Some(' ')).map_or(0, |last| last + 1);
        let (mut out, mut now) = (String::new(), Ink::Plain);
        for (glyph, ink) in &self.0[..used] {
            if colour && *ink != now && *glyph != Some(' ') {
                out.push_str(&format!("\x1b[{}m", sgr(*ink)));
                now = *ink;
            }
            out.extend(*glyph);
        }
        if now != Ink::Plain {
            out.push_str("\x1b[0m");
        }
        out + "\n"
    }
}

/// What is done to a line.
#[derive(Debug, Clone)]
enum Stroke {
    Put(usize, char),
    Text(usize, String),
    Phrase(usize, Vec<String>),
    Fill(Range<usize>, char),
    FillBeside(Range<usize>, char),
}

const KEPT: [char; 2] = ['╲', 'x'];
const INKS: [Ink; 3] = [Ink::Plain, Ink::Flags, Ink::Trouble];

fn strokes() -> impl Strategy<Value = Vec<(Stroke, usize)>> {
    // Mostly what ladders consist of, and now and then anything.
    let glyph = || prop::sample::select(vec!['─', '│', '╲', '-', 'x', ' ', '►', 'é', '😐']);
    let text = || prop_oneof![4 => "[ -~]{0,30}", 1 => "[─x]{0,20}", 1 => "[a握手é\u{7}\u{301}😐 ]{0,12}", 1 => "\\PC{0,8}"];
    let columns = || (0..90_usize, 0..90_usize).prop_map(|(start, len)| start..start + len);
    let stroke = prop_oneof![
        (0..90_usize, glyph().prop_filter("of one column", |c| c.width() == Some(1)))
            .prop_map(|(at, glyph)| Stroke::Put(at, glyph)),
        (0..90_usize, text()).prop_map(|(at, text)| Stroke::Text(at, text)),
        (0..90_usize, prop::collection::vec(text(), 0..5)).prop_map(|(at, texts)| Stroke::Phrase(at, texts)),
        (columns(), prop::sample::select(vec!['─', '-', ' ']))
            .prop_map(|(at, glyph)| Stroke::Fill(at, glyph)),
        (columns(), prop::sample::select(vec!['─', '-']))
            .prop_map(|(at, glyph)| Stroke::FillBeside(at, glyph)),
    ];
    prop::collection::vec((stroke, 0..INKS.len()), 0..12)
}

proptest! {
    #[test]
    fn a_line_is_what_a_simple_one_is(columns in 1..84_usize, strokes in strokes()) {
        let (mut line, mut model) = (Line::new(columns), Model(vec![(Some(' '), Ink::Plain); columns]));
        for (stroke, ink) in strokes {
            let ink = INKS[ink];
            match stroke {
                Stroke::Put(at, glyph) => {
                    line.put(at, glyph, ink);
                    model.put(at, glyph, ink);
                }
                Stroke::Text(at, text) => prop_assert_eq!(line.text(at, &text, ink), model.text(at, &text, ink)),
                Stroke::Phrase(at, texts) => {
                    let mut phrase = Phrase::default();
                    let mut end = at;
                    for (n, text) in texts.iter().enumerate() {
                        phrase.push(text, INKS[n % INKS.len()]);
                        end = model.text(end, text, INKS[n % INKS.len()]);
                    }
                    prop_assert_eq!(line.phrase(at, &phrase), end);
                }
                Stroke::Fill(at, glyph) => {
                    line.fill(at.clone(), glyph, ink);
                    at.for_each(|at| model.put(at, glyph, ink));
                }
                Stroke::FillBeside(at, glyph) => {
                    line.fill_beside(at.clone(), glyph, KEPT, ink);
                    for at in at.start..at.end.min(columns) {
                        if !model.0[at].0.is_some_and(|glyph| KEPT.contains(&glyph)) {
                            model.put(at, glyph, ink);
                        }
                    }
                }
            }
        }
        for colour in [false, true] {
            let mut out = Vec::new();
            line.render(colour, &mut out);
            prop_assert_eq!(String::from_utf8(out).expect("text"), model.render(colour));
        }
    }
}
