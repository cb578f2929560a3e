//! Lines are the same however the bytes come in chunks, and as a plain split of the whole gives them.
#![no_main]

use actix_process::log::{LineEnd, Lines};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

/// The lines of the whole, cut at newlines and then into parts of the longest length.
fn plain(text: &[u8], longest: usize, trim: bool) -> Vec<(Vec<u8>, LineEnd)> {
    let mut lines = Vec::new();
    let mut pieces = text.split(|byte| *byte == b'\n').peekable();
    while let Some(mut line) = pieces.next() {
        let last = pieces.peek().is_none();
        while line.len() > longest {
            let (part, rest) = line.split_at(longest);
            lines.push((part.to_vec(), LineEnd::Continues));
            line = rest;
        }
        if last {
            if !line.is_empty() {
                lines.push((line.to_vec(), LineEnd::Unterminated));
            }
        } else {
            let line = if trim { line.strip_suffix(b"\r").unwrap_or(line) } else { line };
            lines.push((line.to_vec(), LineEnd::Newline));
        }
    }
    lines
}

fuzz_target!(|input: (u8, bool, Vec<u8>, Vec<Vec<u8>>)| {
    let (longest, trim, last, chunks) = input;
    let longest = usize::from(longest).max(1);
    let settings = Lines::default().longest(longest);
    let settings = if trim { settings.trim_carriage_return() } else { settings };
    let (mut shared, mut lent) = (settings.clone(), settings);
    let (mut of_shared, mut of_lent) = (Vec::new(), Vec::new());
    for chunk in chunks.iter().chain([&last]) {
        shared.push(&Bytes::copy_from_slice(chunk), |line| {
            of_shared.push((line.bytes.to_vec(), line.end));
        });
        lent.visit(chunk, |line, end| of_lent.push((line.to_vec(), end)));
    }
    of_shared.extend(shared.finish().map(|line| (line.bytes.to_vec(), line.end)));
    of_lent.extend(lent.finish().map(|line| (line.bytes.to_vec(), line.end)));
    let text = [chunks.concat(), last].concat();
    let expected = plain(&text, longest, trim);
    assert_eq!(of_shared, expected);
    assert_eq!(of_lent, expected);
});
