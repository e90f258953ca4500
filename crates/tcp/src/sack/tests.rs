use super::{MAX_RANGES, Scoreboard, Update};
use crate::seq::{SeqNum, SeqRange};
use proptest::prelude::*;

const SMSS: u32 = 1000;

fn range(from: u32, to: u32) -> SeqRange {
    SeqRange::new(SeqNum(from), SeqNum(to))
}

fn board(nxt: u32, blocks: &[(u32, u32)]) -> Scoreboard {
    let mut board = Scoreboard::default();
    for (from, to) in blocks {
        board.update(SeqNum(0), SeqNum(nxt), &[range(*from, *to)], &mut |_| {});
    }
    board
}

#[test]
fn loss_is_three_ranges_or_more_than_two_segments_above() {
    #[allow(clippy::type_complexity)]
    let table: [(&[(u32, u32)], Option<u32>); 6] = [
        (&[], None),
        (&[(1000, 2000)], None),
        (&[(1000, 3000)], None),
        (&[(1000, 3001)], Some(1000)),
        (&[(1000, 1001), (2000, 2001), (3000, 3001)], Some(1000)),
        (&[(1000, 2000), (3000, 4000), (5000, 6001)], Some(3000)),
    ];
    for (blocks, want) in table {
        assert_eq!(board(20_000, blocks).lost_edge(SMSS), want.map(SeqNum), "{blocks:?}");
    }
}

/// RFC 2883 sections 4.1.1 to 4.1.3.
#[test]
fn duplicates_are_told_from_news() {
    let table: [(u32, &[SeqRange], Option<SeqRange>, u32); 4] = [
        (4000, &[range(3000, 3500)], Some(range(3000, 3500)), 0),
        (3000, &[range(5000, 5500), range(4500, 6000)], Some(range(5000, 5500)), 1500),
        (3000, &[range(4000, 5000), range(6000, 7000)], None, 2000),
        (4000, &[range(3000, 3500), range(5000, 5500)], Some(range(3000, 3500)), 500),
    ];
    for (una, blocks, dsack, newly_sacked) in table {
        let update = Scoreboard::default().update(SeqNum(una), SeqNum(20_000), blocks, &mut |_| {});
        assert_eq!(update, Update { newly_sacked, dsack }, "{blocks:?}");
    }
}

#[test]
fn blocks_that_cannot_be_true_are_ignored() {
    let mut board = Scoreboard::default();
    let lies = [range(0, 500), range(900, 20_000), range(700, 600), range(30_000, 31_000)];
    for lie in lies {
        assert_eq!(board.update(SeqNum(0), SeqNum(10_000), &[lie], &mut |_| {}).newly_sacked, 0, "{lie:?}");
    }
    assert!(board.is_empty());
}

#[test]
fn a_peer_that_takes_back_what_it_sacked_is_not_believed() {
    let mut board = board(10_000, &[(1000, 2000), (3000, 4000)]);
    board.update(SeqNum(1000), SeqNum(10_000), &[], &mut |_| {});
    assert!(board.is_empty());
}

#[test]
fn ranges_are_bounded() {
    let mut board = Scoreboard::default();
    for i in 0..2 * MAX_RANGES as u32 {
        board.update(SeqNum(0), SeqNum(1 << 20), &[range(10 + 4 * i, 12 + 4 * i)], &mut |_| {});
    }
    assert_eq!(board.ranges.len(), MAX_RANGES);
}

proptest! {
    #[test]
    fn the_scoreboard_agrees_with_a_bitmap(
        base: u32,
        acks in prop::collection::vec((0u32..40, prop::collection::vec((0u32..400, 1u32..60), 0..4)), 1..30),
    ) {
        const FLIGHT: u32 = 400;
        const SMSS: u32 = 20;
        let seq = |offset: u32| SeqNum(base) + offset;
        let mut board = Scoreboard::default();
        let mut bitmap = [false; FLIGHT as usize];
        let mut una = 0;
        for (advance, blocks) in acks {
            // An honest peer: it acknowledges past what it holds, never to the start of it.
            una = (una + advance).min(FLIGHT);
            while una < FLIGHT && bitmap[una as usize] {
                una += 1;
            }
            let blocks: Vec<(u32, u32)> = blocks
                .into_iter()
                .map(|(from, len)| (from.max(una + 1), (from + len).min(FLIGHT)))
                .filter(|(from, to)| from < to)
                .collect();
            let ranges: Vec<SeqRange> = blocks.iter().map(|(a, b)| SeqRange::new(seq(*a), seq(*b))).collect();
            let mut heard = Vec::new();
            let update = board.update(seq(una), seq(FLIGHT), &ranges, &mut |range| heard.push(range));
            let old = bitmap;
            let mut news = 0;
            for (index, (from, to)) in blocks.into_iter().enumerate() {
                if index == 0 && update.dsack.is_some() {
                    continue;
                }
                for bit in &mut bitmap[from as usize..to as usize] {
                    news += u32::from(!*bit);
                    *bit = true;
                }
            }
            prop_assert_eq!(update.newly_sacked, news);
            for i in 0..FLIGHT {
                let told = heard.iter().filter(|range| range.contains(seq(i))).count();
                prop_assert_eq!(told, usize::from(bitmap[i as usize] && !old[i as usize]), "octet {}", i);
            }
            let holds = |i: u32| i >= una && bitmap[i as usize];
            for i in una..FLIGHT {
                prop_assert_eq!(board.is_sacked(seq(i)), holds(i));
            }
            let count = (una..FLIGHT).filter(|i| holds(*i)).count() as u32;
            prop_assert_eq!(board.sacked(seq(una), seq(FLIGHT)), count);
            // IsLost, octet by octet, by RFC 6675's words.
            let edge = board.lost_edge(SMSS).unwrap_or(seq(una));
            for i in (una..FLIGHT).filter(|i| !holds(*i)) {
                let above: Vec<u32> = (i + 1..FLIGHT).filter(|j| holds(*j)).collect();
                let runs = above.iter().filter(|j| !holds(**j - 1)).count();
                let lost = runs >= 3 || above.len() as u32 > 2 * SMSS;
                prop_assert_eq!(seq(i).before(edge), lost, "octet {}", i);
            }
        }
    }
}
