//! Glyphs: the characters of lines and arrows, of Unicode and of ASCII.
//! Owns: nothing. Invariants: each is one column wide.
//! Not here: where they stand (`text`).

/// The characters of lines and arrows.
pub(super) struct Glyphs {
    pub(super) line: char,
    pub(super) start: [char; 2],
    pub(super) flat: char,
    pub(super) down: [char; 2],
    pub(super) steep: char,
    pub(super) head: [char; 2],
    pub(super) cross: char,
    pub(super) dot: char,
    pub(super) top: char,
    pub(super) ragged: char,
    /// Of the wait: left and right, open, inside, close, ragged.
    pub(super) bracket: [[char; 4]; 2],
    pub(super) note: &'static str,
    pub(super) pause: &'static str,
}

pub(super) const UNICODE: Glyphs = Glyphs {
    line: '│',
    start: ['├', '┤'],
    flat: '─',
    down: ['╲', '╱'],
    steep: '│',
    head: ['►', '◄'],
    cross: '╳',
    dot: '●',
    top: '┬',
    ragged: '┴',
    bracket: [['╮', '│', '╯', '┆'], ['╭', '│', '╰', '┆']],
    note: "┊ ",
    pause: "· · ·",
};

pub(super) const ASCII: Glyphs = Glyphs {
    line: '|',
    start: ['|', '|'],
    flat: '-',
    down: ['\\', '/'],
    steep: '|',
    head: ['>', '<'],
    cross: 'X',
    dot: 'o',
    top: '+',
    ragged: '+',
    bracket: [['.', '|', '\'', ':'], ['.', '|', '\'', ':']],
    note: ": ",
    pause: ". . .",
};
