use super::*;
use crate::find;

fn is_chinese(text: &str) -> bool {
    text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))
}

#[test]
fn every_claim_speaks_both_languages() {
    for claim in CLAIMS {
        for words in [claim.says, claim.is] {
            assert!(is_chinese(words.zh) && !is_chinese(words.en), "{words:?}");
        }
    }
}

#[test]
fn what_shows_a_claim_is_in_the_catalogue_and_holds() {
    for claim in CLAIMS {
        assert!(!claim.shown_by.is_empty());
        for name in claim.shown_by {
            let scenario = find(name).unwrap_or_else(|| panic!("there is no scenario {name}"));
            assert!(scenario.play(1, Lang::En).held(), "{name}");
        }
    }
}

/// What the lab must put right, by the words that do so.
#[test]
fn what_is_loosely_said_is_put_right() {
    let page = text(Lang::En, 100_000);
    for words in [
        "sends FIN, not SYN",
        "SYN is a flag",
        "initial sequence number",
        "zero bytes",
        "close() ends both directions",
        "shutdown(Write)",
        "both ends open at once",
        "UDP may call connect()",
        "reads the source address",
        "NAT",
        "four",
        "sixty seconds here",
        "ends no TIME_WAIT",
        "old socket must have set it too",
        "a client that is bound and closes first fails on restart",
        "meet a RST",
    ] {
        assert!(page.contains(words), "{words}:\n{page}");
    }
}

#[test]
fn no_line_is_wider_than_asked_for() {
    for lang in [Lang::En, Lang::Zh] {
        for columns in [72, 100] {
            let page = text(lang, columns);
            for line in page.lines().filter(|line| !line.contains("shown by") && !line.contains("演示："))
            {
                assert!(ladder::canvas::width(line) <= columns, "{line}");
            }
        }
    }
}
