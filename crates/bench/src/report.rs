//! Report: one JSON line a figure on standard output; everything else goes to standard error.
//! Units: named in each line (`us`, `B`, `1/s`, `count`).
//! Invariants: a figure that was not measured is never printed as a number.

use std::str::FromStr;

use serde_json::json;

/// Which program a figure belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Ours,
    Prosody,
    Ejabberd,
    Smoltcp,
    Kernel,
}

impl Side {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Side::Ours => "ours",
            Side::Prosody => "prosody",
            Side::Ejabberd => "ejabberd",
            Side::Smoltcp => "smoltcp",
            Side::Kernel => "kernel",
        }
    }

    /// The side that prints so.
    pub(crate) fn by_name(name: &str) -> Option<Side> {
        [Side::Ours, Side::Prosody, Side::Ejabberd, Side::Smoltcp, Side::Kernel]
            .into_iter()
            .find(|side| side.name() == name)
    }
}

/// What one of our figures may be at most.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    case: String,
    most: f64,
}

impl FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=').and_then(|(case, most)| Some((case, most.parse().ok()?)));
        let (case, most) = parts.ok_or_else(|| format!("`{text}` is no CASE=VALUE"))?;
        Ok(Self { case: case.to_owned(), most })
    }
}

/// Every figure of this run, so that ratios can be printed at the end.
#[derive(Default)]
pub(crate) struct Report {
    figures: Vec<(String, Side, f64)>,
}

impl Report {
    /// Prints one figure and keeps it for the ratios.
    pub(crate) fn figure(&mut self, case: &str, side: Side, value: f64, unit: &str, n: u64) {
        let rounded = (value * 1000.0).round() / 1000.0;
        println!("{}", json!({"case": case, "side": side.name(), "value": rounded, "unit": unit, "n": n}));
        self.figures.push((case.to_owned(), side, value));
    }

    /// Ours over each peer, case by case: the median of the alternating rounds of each side.
    pub(crate) fn ratios(&self) {
        let mut cases: Vec<&str> = Vec::new();
        for (case, _, _) in &self.figures {
            if !cases.contains(&case.as_str()) {
                cases.push(case);
            }
        }
        for case in cases {
            let Some(ours) = self.median(case, Side::Ours) else { continue };
            for peer in [Side::Prosody, Side::Ejabberd] {
                if let Some(theirs) = self.median(case, peer).filter(|v| *v > 0.0) {
                    let ratio = (ours / theirs * 10_000.0).round() / 10_000.0;
                    println!("{}", json!({"case": case, "ratio": ratio, "ours": ours, peer.name(): theirs}));
                }
            }
        }
    }

    /// Whether each of ours is at most so much, by the median of its rounds; what is not, or was not measured, is said.
    pub(crate) fn is_within(&self, bounds: &[Bound]) -> bool {
        let exceeded = bounds.iter().filter(|bound| {
            let ours = self.median(&bound.case, Side::Ours);
            let holds = ours.is_some_and(|ours| ours <= bound.most);
            if !holds {
                let found = ours.map_or_else(|| "not measured".to_owned(), |ours| format!("{ours:.3}"));
                eprintln!("bench: {}: {found}, and at most {} is allowed", bound.case, bound.most);
            }
            !holds
        });
        exceeded.count() == 0
    }

    fn median(&self, case: &str, side: Side) -> Option<f64> {
        let mut values: Vec<f64> =
            self.figures.iter().filter(|(c, s, _)| c == case && *s == side).map(|(_, _, v)| *v).collect();
        values.sort_by(f64::total_cmp);
        (!values.is_empty()).then(|| values[values.len() / 2])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_a_side_ignores_the_other_sides() {
        let mut report = Report::default();
        for (side, value) in [(Side::Ours, 9.0), (Side::Ours, 1.0), (Side::Ours, 5.0), (Side::Prosody, 100.0)]
        {
            report.figure("chat", side, value, "us", 1);
        }
        assert_eq!(report.median("chat", Side::Ours), Some(5.0));
        assert_eq!(report.median("chat", Side::Prosody), Some(100.0));
        assert_eq!(report.median("chat", Side::Ejabberd), None);
    }

    #[test]
    fn a_bound_holds_for_the_median_of_ours_and_for_nothing_that_was_not_measured() {
        let mut report = Report::default();
        for (side, value) in [(Side::Ours, 9.0), (Side::Ours, 1.0), (Side::Ours, 5.0), (Side::Prosody, 1.0)] {
            report.figure("chat", side, value, "us", 1);
        }
        let is_within = |bound: &str| report.is_within(&[bound.parse().unwrap()]);
        assert!(is_within("chat=5"));
        assert!(!is_within("chat=4.9"));
        assert!(!is_within("talk=1000"));
        assert!("chat".parse::<Bound>().is_err() && "chat=much".parse::<Bound>().is_err());
    }
}
