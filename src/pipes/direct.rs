//! `Direct`: reads what a context holds with calls of its own: an attributed one, each chunk with
//! its writer, and a terminal.

use std::collections::VecDeque;

use bytes::Bytes;
use nix::errno::Errno;

use super::{Found, Observed, PipeEnd, PipeKey};
use crate::pipes::{Gather, SLAB_LEN};

/// So many reads of one context in one turn: the others want theirs.
const READS: usize = 16;

/// What the reads share.
#[derive(Debug, Default)]
pub(super) struct Direct {
    /// How many bytes this turn may still take.
    pub(super) room: u64,
    gather: Gather<Option<i32>>,
}

impl Direct {
    /// Reads what is there, within the turn's room. Gives the end, or what failed.
    pub(super) fn read(
        &mut self,
        key: PipeKey,
        end: &PipeEnd,
        found: &mut VecDeque<Found>,
    ) -> Option<Observed> {
        let mut emit = |writer, bytes: Bytes| {
            found.push_back(Found { key, what: Observed::From(writer, bytes) });
        };
        let mut over = None;
        for _ in 0..READS {
            if self.room == 0 {
                break;
            }
            let mut slab = self.gather.slab();
            let want = self.room.min(SLAB_LEN as u64) as usize;
            match end.read_now(&mut slab.memory()[..want]) {
                Ok((0, _)) => {
                    over = Some(Observed::End);
                    break;
                }
                Ok((len, writer)) => {
                    self.room -= len as u64;
                    self.gather.take_slab(writer, slab, len, &mut emit);
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break,
                Err(error) => {
                    over = Some(end.medium.failed(error));
                    break;
                }
            }
        }
        self.gather.flush(&mut emit);
        over
    }
}
