#[path = "../../../../tests/ladders/golden.rs"]
mod golden;

use super::*;
use crate::{Lang, Play};
use ladder::item::Item;
use ladder::state::State;
use ladder::text::TextOptions;
use ladder::{Format, LadderOptions};

/// What `switchboard lab NAME` prints.
fn printed(scenario: &Scenario, play: &Play, format: Format) -> String {
    let mut out = format!("{}: {}\n", scenario.name, scenario.title.get(play.lang)).into_bytes();
    play.draw(&mut out, format, LadderOptions::default()).expect("a Vec takes all");
    String::from_utf8(out).expect("text")
}

#[test]
fn every_scenario_holds_and_looks_as_it_was_read() {
    let mut failures = Vec::new();
    for scenario in catalogue() {
        let play = scenario.play(1, Lang::En);
        let drawn = printed(scenario, &play, Format::Text);
        if !play.held() {
            failures.push(format!("{} did not hold:\n{drawn}", scenario.name));
            continue;
        }
        let check = std::panic::catch_unwind(|| golden::check(&format!("lab/{}.txt", scenario.name), &drawn));
        if check.is_err() {
            failures.push(format!("{} is drawn differently", scenario.name));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_scenario_holds_whatever_the_seed() {
    for scenario in catalogue() {
        for seed in [0, 2, 3, 77] {
            let play = scenario.play(seed, Lang::En);
            assert!(
                play.held(),
                "{} with seed {seed}:\n{}",
                scenario.name,
                printed(scenario, &play, Format::Text)
            );
        }
    }
}

#[test]
fn a_seed_gives_one_play() {
    for scenario in catalogue() {
        let (one, two) = (scenario.play(5, Lang::En), scenario.play(5, Lang::En));
        assert_eq!(one.packets, two.packets, "{}", scenario.name);
        assert_eq!(printed(scenario, &one, Format::Json), printed(scenario, &two, Format::Json));
    }
}

/// The exchange runs on our own stack, too: what is drawn beside its segments is what it was in, not what one could infer.
#[test]
fn states_of_a_relay_are_the_hosts_own() {
    for name in ["relay", "relay-nat"] {
        let play = find(name).expect("it is in the catalogue").play(1, Lang::En);
        let (mut segments, mut handshake) = (0, Vec::new());
        for act in &play.acts {
            for item in act.before.iter().chain(&act.items) {
                if let Item::Step(step) = item
                    && matches!(step.packet, ladder::item::Packet::Segment { .. })
                {
                    segments += 1;
                    assert!(step.sender.is_some() && step.receiver.is_some(), "{name}: {step:?}");
                    if segments <= 3 {
                        handshake.extend(step.sender.zip(step.receiver));
                    }
                }
            }
        }
        assert!(segments > 20, "{name}: {segments} segments");
        let expected = [
            (State::SynSent, State::SynReceived),
            (State::SynReceived, State::Established),
            (State::Established, State::Established),
        ];
        assert_eq!(handshake, expected, "{name}: the handshake with which the first act begins");
    }
}

fn is_chinese(text: &str) -> bool {
    text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))
}

fn explanations(play: &Play) -> Vec<String> {
    let mut texts = Vec::new();
    for act in &play.acts {
        texts.extend((!act.title.is_empty()).then(|| act.title.clone()));
        for item in &act.items {
            match item {
                Item::Note { text, .. } => texts.push(text.clone()),
                Item::Step(step) => texts.extend(step.note.clone()),
                Item::Event(event) => texts.extend(event.note.clone()),
            }
        }
    }
    texts.extend(play.checks.iter().map(|check| check.what.clone()));
    texts
}

#[test]
fn every_explanation_exists_in_chinese_and_in_english() {
    for scenario in catalogue() {
        let [en, zh] = [Lang::En, Lang::Zh].map(|lang| explanations(&scenario.play(1, lang)));
        assert_eq!(en.len(), zh.len(), "{}", scenario.name);
        assert!(is_chinese(scenario.title.zh) && !is_chinese(scenario.title.en), "{}", scenario.name);
        for (en, zh) in en.iter().zip(&zh) {
            assert!(is_chinese(zh) && !is_chinese(en), "{}:\n{en}\n{zh}", scenario.name);
        }
    }
}

/// Chinese text has Chinese punctuation: none of ASCII beside a Chinese character.
#[test]
fn chinese_is_punctuated_as_chinese() {
    let mut texts: Vec<String> = catalogue().map(|scenario| scenario.title.zh.to_owned()).collect();
    texts.extend(catalogue().flat_map(|scenario| explanations(&scenario.play(1, Lang::Zh))));
    texts.extend(
        crate::notes::CLAIMS.iter().flat_map(|claim| [claim.says.zh, claim.is.zh]).map(str::to_owned),
    );
    for text in texts {
        let chars: Vec<char> = text.chars().collect();
        for pair in chars.windows(2) {
            let wrong = |a: char, b: char| is_chinese(&a.to_string()) && ",;:?!()\"".contains(b);
            assert!(
                !wrong(pair[0], pair[1]) && !wrong(pair[1], pair[0]),
                "{}{} in: {text}",
                pair[0],
                pair[1]
            );
        }
    }
}

#[test]
fn every_scenario_is_drawn_in_every_format_and_width() {
    for scenario in catalogue() {
        let play = scenario.play(1, Lang::Zh);
        for (_, format) in Format::ALL {
            assert!(!printed(scenario, &play, format).is_empty());
        }
        for width in [72, 80, 132] {
            let mut out = Vec::new();
            let text = TextOptions { width, ..TextOptions::default() };
            play.draw(&mut out, Format::Text, LadderOptions { text, ..LadderOptions::default() })
                .expect("a Vec takes all");
            let drawn = String::from_utf8(out).expect("text");
            for line in drawn.lines() {
                assert!(ladder::canvas::width(line) <= width, "{} at {width}: {line}", scenario.name);
            }
        }
    }
}

#[test]
fn names_are_unique_and_can_be_typed() {
    let mut names: Vec<_> = catalogue().map(|scenario| scenario.name).collect();
    assert!(names.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '-')));
    names.sort_unstable();
    let len = names.len();
    names.dedup();
    assert_eq!(names.len(), len);
}
