//! A child's stream through a `tokio_util` decoder.

use std::{io, sync::Arc};

use bytes::BytesMut;
use futures_core::Stream as AsyncStream;
use tokio_util::codec::Decoder;

use super::Child;
use crate::{
    Source,
    log::{Fact, LogReader, Start},
};

/// Why decoding failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError<E> {
    /// The decoder's own error; the stream of frames ends with it.
    #[error("a frame cannot be decoded: {0}")]
    Frame(#[source] E),
    /// The child's beginning was no longer in the log when the decoding began.
    #[error("the child's first bytes are no longer in the log")]
    Gone,
}

impl Child {
    /// One of the child's streams as a decoder's frames, from the first byte on. It ends when all
    /// processes have closed the pipe, or with the policy. It loses no byte and holds the log up,
    /// so read on or drop it.
    ///
    /// Call this before the child has written more than the log holds: if bytes are already gone,
    /// the result is [`DecodeError::Gone`].
    pub fn decode<D>(
        &self,
        stream: Source,
        decoder: D,
    ) -> impl AsyncStream<Item = Result<D::Item, DecodeError<D::Error>>> + use<D>
    where
        D: Decoder<Error: From<io::Error>>,
    {
        let (id, cell) = (self.id(), Arc::clone(self.cell()));
        let state = Decoding {
            reader: LogReader::open(Arc::clone(self.link.shared_log()), Start::Beginning),
            decoder,
            bytes: BytesMut::new(),
            ended: false,
        };
        futures_util::stream::unfold(Some(state), move |state| {
            let cell = Arc::clone(&cell);
            async move {
                let mut state = state?;
                loop {
                    let frame = if state.ended {
                        state.decoder.decode_eof(&mut state.bytes)
                    } else {
                        state.decoder.decode(&mut state.bytes)
                    };
                    match frame {
                        Ok(Some(frame)) => return Some((Ok(frame), Some(state))),
                        Ok(None) if state.ended => return None,
                        Ok(None) => {}
                        Err(error) => return Some((Err(DecodeError::Frame(error)), None)),
                    }
                    let Some(batch) = state.reader.next().await else {
                        state.ended = true;
                        continue;
                    };
                    // A gap before the child's spawn, or of another child's quota, does not concern
                    // this child.
                    if let (Some(gap), Some(spawned)) = (batch.gap(), cell.spawned.get())
                        && spawned <= gap.last
                        && gap.concerns(id)
                    {
                        return Some((Err(DecodeError::Gone), None));
                    }
                    for entry in batch.entries().filter(|entry| entry.child == id) {
                        match &entry.fact {
                            Fact::Chunk(chunk) if chunk.stream == stream => {
                                state.bytes.extend_from_slice(&chunk.bytes);
                            }
                            Fact::Closed => state.ended = true,
                            Fact::Chunk(_) | Fact::Spawned { .. } | Fact::Exited(_) => {}
                        }
                    }
                }
            }
        })
    }
}

struct Decoding<D> {
    reader: LogReader,
    decoder: D,
    bytes: BytesMut,
    ended: bool,
}
