//! `Receiver`: takes what an attributed context holds, each chunk with its writer.

use std::{collections::VecDeque, os::fd::AsFd};

use bytes::Bytes;
use nix::errno::Errno;

use super::{Found, Observed, PipeKey};
use crate::{
    log::{Gather, SLAB_LEN},
    sys,
};

/// So many receives of one context in one turn: the others want theirs.
const RECEIVES: usize = 16;

/// What receives share.
#[derive(Debug, Default)]
pub(super) struct Receiver {
    /// How many bytes this turn may still take.
    pub(super) room: u64,
    gather: Gather<Option<i32>>,
}

impl Receiver {
    /// Receives what is there, within the turn's room. Gives the end, or what failed.
    pub(super) fn receive(
        &mut self,
        key: PipeKey,
        socket: impl AsFd,
        found: &mut VecDeque<Found>,
    ) -> Option<Observed> {
        let mut emit = |writer, bytes: Bytes| {
            found.push_back(Found { key, what: Observed::Attributed(writer, bytes) });
        };
        let mut end = None;
        for _ in 0..RECEIVES {
            if self.room == 0 {
                break;
            }
            let mut slab = self.gather.slab();
            let want = self.room.min(SLAB_LEN as u64) as usize;
            match sys::credentials::receive(&socket, &mut slab.memory()[..want]) {
                Ok((0, _)) => {
                    end = Some(Observed::End);
                    break;
                }
                Ok((len, writer)) => {
                    self.room -= len as u64;
                    self.gather.take_slab(writer, slab, len, &mut emit);
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break,
                Err(error) => {
                    end = Some(Observed::Failed(error.into()));
                    break;
                }
            }
        }
        self.gather.flush(&mut emit);
        end
    }
}
