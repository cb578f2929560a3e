//! `Direct`: reads a context with calls of its own: an attributed context, each chunk with its
//! writer, or a terminal.

use std::collections::VecDeque;

use bytes::Bytes;
use nix::errno::Errno;

use super::{Completion, PipeEnd, PipeEvent, PipeKey};
use crate::pipes::{Coalescer, READ_BUFFER_LEN};

/// The most reads of one context in one turn, so that the others get theirs.
const READS: usize = 16;

/// What the reads share.
#[derive(Debug, Default)]
pub(super) struct Direct {
    /// How many bytes this turn may still take.
    pub(super) room: u64,
    coalescer: Coalescer<Option<i32>>,
}

impl Direct {
    /// Reads what the context holds, within the turn's room. Returns its end or failure, if any.
    pub(super) fn read(
        &mut self,
        key: PipeKey,
        end: &PipeEnd,
        found: &mut VecDeque<Completion>,
    ) -> Option<PipeEvent> {
        let mut emit = |writer, bytes: Bytes| {
            found.push_back(Completion { key, what: PipeEvent::From(writer, bytes) });
        };
        let mut over = None;
        for _ in 0..READS {
            if self.room == 0 {
                break;
            }
            let mut read_buffer = self.coalescer.read_buffer();
            let want = self.room.min(READ_BUFFER_LEN as u64) as usize;
            match end.read_now(&mut read_buffer.memory()[..want]) {
                Ok((0, _)) => {
                    over = Some(PipeEvent::End);
                    break;
                }
                Ok((len, writer)) => {
                    self.room -= len as u64;
                    self.coalescer.take_slab(writer, read_buffer, len, &mut emit);
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break,
                Err(error) => {
                    over = Some(end.medium.failed(error));
                    break;
                }
            }
        }
        self.coalescer.flush(&mut emit);
        over
    }
}
