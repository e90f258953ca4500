//! The ladder as a picture: one SVG that stands alone, light or dark as its reader's screen is.
//! Spec: SVG 1.1; CSS `prefers-color-scheme`.
//! Owns: coordinates. Units: pixels. Invariants: no script, no font file, no reference outwards; after [`ROWS_DRAWN_MAX`] rows it says that
//! it stops, since the height stands at the beginning and viewers have bounds.
//! Not here: which row (`layout`), what an arrow says (`label`).

use crate::canvas::{width, wrap};
use crate::item::{Hosts, Side};
use crate::label::{Ink, LabelOptions, Piece, label};
use crate::layout::{Arrow, Block, Bracket, Layout, Place};
use crate::moment::Moment;
use crate::text::span_words;
use std::fmt::Write as _;
use std::io::{self, Write};

/// Rows that are drawn, at most.
pub const ROWS_DRAWN_MAX: usize = 4000;

const WIDTH: f64 = 1180.0;
const LIFELINES: [f64; 2] = [270.0, 910.0];
const ROW: f64 = 30.0;
const NOTE_LINE: f64 = 18.0;
const TOP: f64 = 74.0;
/// Columns of a note: what fits between the lines.
const NOTE_COLUMNS: usize = 76;

const STYLE: &str = "\
:root{--bg:#ffffff;--fg:#1f2430;--faint:#7a8194;--line:#9aa3b5;--open:#17803d;--close:#8b2fb3;--bad:#c62828;--warn:#a15c00;--call:#1d4ed8;--note:#0f6b78;--state:#0b7285;--paper:#f2f7f8}\
@media(prefers-color-scheme:dark){:root{--bg:#14171f;--fg:#e4e7ee;--faint:#8d95a8;--line:#5b6478;--open:#4ade80;--close:#d58bf5;--bad:#ff7b72;--warn:#f0b45a;--call:#7aa7ff;--note:#6bd0dd;--state:#4fd1e0;--paper:#1b2129}}\
text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:var(--fg)}\
.bg{fill:var(--bg)}.life{stroke:var(--line);stroke-width:1.5}.arrow{stroke:var(--fg);stroke-width:1.4;fill:none}.lost{stroke:var(--bad);stroke-dasharray:5 4}\
.head{fill:var(--fg)}.host{font-weight:700;font-size:15px}.faint{fill:var(--faint)}.flags{font-weight:700}.opening{font-weight:700;fill:var(--open)}\
.closing{font-weight:700;fill:var(--close)}.reset{font-weight:700;fill:var(--bad)}.state{font-weight:700;fill:var(--state)}.trouble{font-weight:700;fill:var(--bad)}\
.remark{fill:var(--warn)}.call{font-weight:700;fill:var(--call)}.dot{fill:var(--call)}.note{fill:var(--note)}.paper{fill:var(--paper)}.small{font-size:11.5px}\
.wait{stroke:var(--state);stroke-width:2;fill:none}.halo{paint-order:stroke;stroke:var(--bg);stroke-width:4px;stroke-linejoin:round}";

/// A picture that is collected while it happens and written at the end.
pub struct SvgLadder<W: Write> {
    out: W,
    hosts: Hosts,
    label: LabelOptions,
    decimals: usize,
    layout: Layout,
    /// What is drawn so far: lines first, words over them.
    lines: String,
    words: String,
    y: f64,
    rows: usize,
    /// Where each wait began.
    waits: [Option<f64>; 2],
    stopped: bool,
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

fn class(ink: Ink) -> &'static str {
    match ink {
        Ink::Plain => "plain",
        Ink::Faint => "faint",
        Ink::Flags => "flags",
        Ink::Opening => "opening",
        Ink::Closing => "closing",
        Ink::Reset => "reset",
        Ink::State => "state",
        Ink::Trouble => "trouble",
        Ink::Remark => "remark",
        Ink::Call => "call",
        Ink::Note => "note",
    }
}

fn spans(pieces: &[Piece]) -> String {
    let mut out = String::new();
    for piece in pieces {
        let _ = write!(out, "<tspan class=\"{}\">{}</tspan>", class(piece.ink), escaped(&piece.text)); // a String takes all
    }
    out
}

impl<W: Write> SvgLadder<W> {
    /// A picture between `hosts`.
    pub fn new(out: W, hosts: Hosts, label: LabelOptions, decimals: usize) -> SvgLadder<W> {
        SvgLadder {
            out,
            hosts,
            label,
            decimals,
            layout: Layout::default(),
            lines: String::new(),
            words: String::new(),
            y: TOP,
            rows: 0,
            waits: [None; 2],
            stopped: false,
        }
    }

    /// Takes the next moment.
    pub fn push(&mut self, moment: Moment) {
        if self.stopped {
            return;
        }
        if let Some(block) = self.layout.push(moment, true) {
            self.draw(&block);
        }
    }

    fn draw(&mut self, block: &Block) {
        if self.rows + block.rows.len() > ROWS_DRAWN_MAX {
            self.stopped = true;
            self.y += ROW;
            let text = format!("the drawing stops here: it has {ROWS_DRAWN_MAX} rows at most");
            self.text(
                f64::midpoint(LIFELINES[0], LIFELINES[1]),
                self.y - 10.0,
                "middle",
                Ink::Trouble,
                &text,
            );
            return;
        }
        self.rows += block.rows.len();
        let mut ys = Vec::with_capacity(block.rows.len());
        for row in &block.rows {
            let height = match &row.place {
                Place::Note(text) => wrap(text, NOTE_COLUMNS).len() as f64 * NOTE_LINE + 14.0,
                Place::Pause(_) => ROW * 1.2,
                Place::Arrows | Place::Event(..) => ROW,
            };
            ys.push(self.y + ROW / 2.0);
            self.put_row(row, height);
            self.y += height;
        }
        for arrow in &block.arrows {
            self.put_arrow(arrow, ys[arrow.start], ys[arrow.end]);
        }
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, ink: Ink, text: &str) {
        let _ = writeln!(
            self.words,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{} halo\">{}</text>",
            class(ink),
            escaped(text)
        );
    }

    fn put_row(&mut self, row: &crate::layout::Row, height: f64) {
        let y = self.y + ROW / 2.0;
        if let Some(time) = row.time {
            let text = format!("{:.1$}", time.as_secs_f64(), self.decimals);
            self.text(96.0, y + 4.0, "end", Ink::Faint, &text);
        }
        for side in Side::BOTH {
            let (x, anchor) = match side {
                Side::Left => (LIFELINES[0] - 22.0, "end"),
                Side::Right => (LIFELINES[1] + 22.0, "start"),
            };
            if let Some(standing) = row.standings[side.index()] {
                let ink = if standing.is_new { Ink::State } else { Ink::Faint };
                self.text(x, y + 4.0, anchor, ink, standing.state.name());
            }
            match row.brackets[side.index()] {
                Some(Bracket::Open) => self.waits[side.index()] = Some(y),
                Some(Bracket::Close) => self.put_wait(side, y, true),
                Some(Bracket::Ragged) => self.put_wait(side, y, false),
                Some(Bracket::Inside) | None => {}
            }
        }
        let middle = f64::midpoint(LIFELINES[0], LIFELINES[1]);
        match &row.place {
            Place::Arrows => {}
            Place::Event(side, what) => {
                let x = LIFELINES[side.index()];
                let _ = writeln!(self.words, "<circle class=\"dot\" cx=\"{x}\" cy=\"{y:.1}\" r=\"4.5\"/>");
                let (x, anchor) = if *side == Side::Left { (x + 12.0, "start") } else { (x - 12.0, "end") };
                self.text(x, y + 4.0, anchor, Ink::Call, what);
            }
            Place::Note(text) => {
                let _ = writeln!(
                    self.lines,
                    "<rect class=\"paper\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"6\"/>",
                    LIFELINES[0] + 14.0,
                    self.y + 3.0,
                    LIFELINES[1] - LIFELINES[0] - 28.0,
                    height - 6.0
                );
                for (index, line) in wrap(text, NOTE_COLUMNS).into_iter().enumerate() {
                    self.text(
                        LIFELINES[0] + 26.0,
                        self.y + 20.0 + index as f64 * NOTE_LINE,
                        "start",
                        Ink::Note,
                        &line,
                    );
                }
            }
            Place::Pause(span) => {
                let text = format!("···  {}  ···", span_words(*span));
                self.text(middle, y + 4.0, "middle", Ink::Faint, &text);
            }
        }
    }

    fn put_wait(&mut self, side: Side, end: f64, closes: bool) {
        let Some(start) = self.waits[side.index()].take() else { return };
        let (x, tip) = match side {
            Side::Left => (LIFELINES[0] - 10.0, 5.0),
            Side::Right => (LIFELINES[1] + 10.0, -5.0),
        };
        let tail = if closes { format!("h{tip}") } else { String::new() };
        let _ = writeln!(
            self.lines,
            "<path class=\"wait\" d=\"M{:.1},{start:.1}h{:.1}V{end:.1}{tail}\"/>",
            x + tip,
            -tip
        );
        let words = self
            .hosts
            .time_wait
            .map_or_else(|| "2*MSL".to_owned(), |span| format!("2*MSL = {} s", span.as_secs()));
        let (x, anchor) = if side == Side::Left { (x - 12.0, "end") } else { (x + 12.0, "start") };
        // Between the names of the two states.
        self.text(x, f64::midpoint(start, end) + 4.0, anchor, Ink::State, &words);
    }

    fn put_arrow(&mut self, arrow: &Arrow, start: f64, end: f64) {
        let from = arrow.sent.from;
        let (x1, mut x2) = (LIFELINES[from.index()], LIFELINES[from.other().index()]);
        let lost = arrow.sent.lost.as_deref();
        let mut y2 = if lost.is_some() { start + ROW * 0.3 } else { end };
        let words = label(&arrow.sent, self.label);
        if lost.is_some() {
            x2 = x1 + (x2 - x1) * 0.8;
        }
        let slope = (y2 - start) / (x2 - x1);
        let head = 9.0 * (x2 - x1).signum();
        let angle = slope.atan().to_degrees();
        if let Some(why) = lost {
            let _ = writeln!(
                self.lines,
                "<path class=\"arrow lost\" d=\"M{x1:.1},{start:.1}L{x2:.1},{y2:.1}\"/><path class=\"arrow lost\" style=\"stroke-dasharray:none\" d=\"M{:.1},{:.1}l12,12m0,-12l-12,12\"/>",
                x2 - 6.0,
                y2 - 6.0
            );
            let (x, anchor) = if from == Side::Left { (x2 + 12.0, "start") } else { (x2 - 12.0, "end") };
            y2 += 4.0;
            self.text(x, y2, anchor, Ink::Trouble, why);
        } else {
            let _ = writeln!(
                self.lines,
                "<path class=\"arrow\" d=\"M{x1:.1},{start:.1}L{:.1},{:.1}\"/><path class=\"head\" transform=\"rotate({angle:.2} {x2:.1} {y2:.1})\" d=\"M{x2:.1},{y2:.1}l{:.1},-4.5v9z\"/>",
                x2 - head,
                y2 - head * slope,
                -head * 1.2
            );
        }
        let (x, anchor) = if from == Side::Left { (x1 + 14.0, "start") } else { (x1 - 14.0, "end") };
        let mut main = words.main.pieces();
        let columns: usize = main.iter().chain(&words.extras).map(|piece| width(&piece.text) + 1).sum();
        let below = (columns > 78).then(|| words.extras.clone());
        if below.is_none() {
            for piece in words.extras {
                main.push(Piece { text: " ".into(), ink: Ink::Plain });
                main.push(piece);
            }
        }
        let rotate = format!("transform=\"rotate({angle:.2} {x1:.1} {start:.1})\"");
        let _ = writeln!(
            self.words,
            "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" class=\"halo\" xml:space=\"preserve\" {rotate}>{}</text>",
            start - 5.0,
            spans(&main)
        );
        if let Some(extras) = below {
            let _ = writeln!(
                self.words,
                "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" class=\"halo small\" {rotate}>{}</text>",
                start + 12.0,
                spans(&extras)
            );
        }
        for mark in arrow.marks.iter() {
            let (x, anchor) = if from == Side::Left { (x2 - 16.0, "end") } else { (x2 + 16.0, "start") };
            self.text(x, end + 14.0, anchor, Ink::Trouble, &mark.to_string());
        }
    }

    /// Writes the picture, and gives the writer back.
    ///
    /// # Errors
    /// The writer's.
    pub fn finish(mut self) -> io::Result<W> {
        let block = self.layout.finish();
        if !self.stopped {
            self.draw(&block);
        }
        let height = self.y + 30.0;
        let out = &mut self.out;
        writeln!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" height=\"{height:.0}\" role=\"img\">"
        )?;
        let [left, right] = self.hosts.names.each_ref().map(|name| escaped(name));
        writeln!(out, "<title>{left} and {right}</title>")?;
        writeln!(out, "<style>{STYLE}</style>")?;
        writeln!(out, "<rect class=\"bg\" width=\"100%\" height=\"100%\"/>")?;
        for side in Side::BOTH {
            let x = LIFELINES[side.index()];
            let name = if side == Side::Left { &left } else { &right };
            writeln!(out, "<text x=\"{x}\" y=\"28\" text-anchor=\"middle\" class=\"host\">{name}</text>")?;
            writeln!(out, "<path class=\"life\" d=\"M{x},42V{:.1}\"/>", height - 14.0)?;
            if let Some(state) = self.hosts.states[side.index()] {
                let (x, anchor) = if side == Side::Left { (x - 22.0, "end") } else { (x + 22.0, "start") };
                writeln!(
                    out,
                    "<text x=\"{x}\" y=\"58\" text-anchor=\"{anchor}\" class=\"faint\">{state}</text>"
                )?;
            }
        }
        out.write_all(self.lines.as_bytes())?;
        out.write_all(self.words.as_bytes())?;
        writeln!(out, "</svg>")?;
        out.flush()?;
        Ok(self.out)
    }
}
