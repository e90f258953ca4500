//! Reno's part: one segment more a round trip, half of the flight after a loss.
//! Spec: RFC 5681 3.1 equations 3 and 4, by the byte counting of RFC 3465 2.1.
//! Owns: octets acknowledged towards the next segment.
//! Not here: slow start and bounds, which all algorithms share (`mod`).

use super::Window;

#[derive(Clone, Debug)]
pub(super) struct Reno {
    counted: u32,
}

impl Reno {
    pub(super) const fn new() -> Self {
        Reno { counted: 0 }
    }

    pub(super) fn avoid(&mut self, window: &mut Window, acked: u32) {
        // What was counted towards a larger window, before a timeout or a rest, is worth one step of this one.
        self.counted = self.counted.min(window.cwnd).saturating_add(acked);
        // An ACK may stand for more than a window; the loop is bounded by what one ACK can cover.
        while self.counted >= window.cwnd {
            self.counted -= window.cwnd;
            window.grow(window.smss);
        }
    }

    pub(super) fn back_off(&mut self, window: &mut Window, flight: u32) {
        self.counted = 0;
        window.reduce_to(flight / 2);
    }
}
