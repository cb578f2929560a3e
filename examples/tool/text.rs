//! What is shown of bytes that a child or a user wrote, and how wide it is.
//!
//! Only colours and other attributes (SGR sequences) pass, if they are wanted at all. Other
//! sequences are left out, other control characters are shown as `^X`: nothing that a child writes
//! moves the cursor onto a prefix or changes the terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Marks what was cut.
pub(crate) const CUT: &str = "…";

const ESCAPE: char = '\x1b';

/// What of a child's bytes may pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// Attributes.
    pub(crate) colour: bool,
    /// The bytes go to a terminal, which may take some that are not UTF-8 for control characters.
    pub(crate) terminal: bool,
}

/// An escape sequence at the beginning of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sequence {
    /// Attributes, of this length in bytes.
    Attributes(usize),
    /// Another sequence, of this length.
    Other(usize),
    /// Its end is missing.
    Unfinished,
    /// No sequence.
    None,
}

impl Sequence {
    fn at(text: &[u8]) -> Sequence {
        let Some((b'\x1b', rest)) = text.split_first() else { return Sequence::None };
        match rest.first() {
            None => Sequence::Unfinished,
            Some(b'[') => Sequence::control(text),
            Some(b']' | b'P' | b'X' | b'^' | b'_') => Sequence::string(text),
            Some(b' '..=b'/') => {
                let middle = rest.iter().take_while(|it| matches!(it, b' '..=b'/')).count();
                match rest.get(middle) {
                    None => Sequence::Unfinished,
                    Some(b'0'..=b'~') => Sequence::Other(middle + 2),
                    Some(_) => Sequence::None,
                }
            }
            Some(b'0'..=b'~') => Sequence::Other(2),
            Some(_) => Sequence::None,
        }
    }

    /// `ESC [`, parameters, a last byte.
    fn control(text: &[u8]) -> Sequence {
        let parameters = &text[2..];
        let count = parameters.iter().take_while(|it| matches!(it, b' '..=b'?')).count();
        let plain = |it: &u8| it.is_ascii_digit() || matches!(it, b';' | b':');
        match parameters.get(count) {
            None => Sequence::Unfinished,
            Some(b'm') if parameters[..count].iter().all(plain) => Sequence::Attributes(count + 3),
            Some(b'@'..=b'~') => Sequence::Other(count + 3),
            Some(_) => Sequence::None,
        }
    }

    /// A title, a link or the like: up to BEL or `ESC \`. Another sequence or CAN or SUB breaks it
    /// off, as terminals have it.
    fn string(text: &[u8]) -> Sequence {
        let is_end = |at: &usize| matches!(text[*at], b'\x07' | b'\x18' | b'\x1a' | b'\x1b');
        match (2..text.len()).find(is_end) {
            Some(end) if text[end] == b'\x07' => Sequence::Other(end + 1),
            Some(end) if text[end..].starts_with(b"\x1b\\") => Sequence::Other(end + 2),
            Some(_) | None => Sequence::Unfinished,
        }
    }
}

/// Adds what is to be seen of `text`. Attributes that it sets end with it.
pub(crate) fn show(out: &mut Vec<u8>, text: &[u8], look: Look) {
    if text.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        out.extend_from_slice(text);
        return;
    }
    let mut attributes = false;
    for chunk in text.utf8_chunks() {
        attributes |= show_valid(out, chunk.valid(), look);
        for byte in chunk.invalid() {
            match byte {
                // In other encodings than UTF-8 it is a control character.
                0x80..=0x9f if look.terminal => out.extend_from_slice("\u{fffd}".as_bytes()),
                _ => out.push(*byte),
            }
        }
    }
    if attributes {
        out.extend_from_slice(b"\x1b[0m");
    }
}

/// True if attributes were set.
fn show_valid(out: &mut Vec<u8>, mut text: &str, look: Look) -> bool {
    let mut attributes = false;
    while let Some(at) = text.find(|it: char| it.is_control() && it != '\t') {
        out.extend_from_slice(&text.as_bytes()[..at]);
        text = &text[at..];
        let len = match Sequence::at(text.as_bytes()) {
            Sequence::Attributes(len) => {
                if look.colour {
                    out.extend_from_slice(&text.as_bytes()[..len]);
                    attributes = true;
                }
                len
            }
            Sequence::Other(len) => len,
            Sequence::Unfinished | Sequence::None => show_control(out, text),
        };
        text = &text[len..];
    }
    out.extend_from_slice(text.as_bytes());
    attributes
}

/// Shows the control character at the beginning of the text, and returns its length.
fn show_control(out: &mut Vec<u8>, text: &str) -> usize {
    let first = text.chars().next().unwrap_or(ESCAPE);
    match u8::try_from(first) {
        Ok(byte) if byte.is_ascii() => out.extend_from_slice(&[b'^', byte ^ 0x40]),
        Ok(_) | Err(_) => out.extend_from_slice("\u{fffd}".as_bytes()),
    }
    first.len_utf8()
}

/// How much of a text that goes on elsewhere can be shown without cutting a character or a sequence.
pub(crate) fn uncut(text: &[u8]) -> usize {
    /// Attributes are shorter; a longer sequence is cut.
    const LONGEST_SEQUENCE: usize = 64;
    let tail = text.len().saturating_sub(LONGEST_SEQUENCE);
    if let Some(at) = text[tail..].iter().rposition(|byte| *byte == b'\x1b')
        && Sequence::at(&text[tail + at..]) == Sequence::Unfinished
    {
        return tail + at;
    }
    for back in 1..=text.len().min(3) {
        let needed = match text[text.len() - back] {
            0x80..=0xbf => continue,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        return if needed > back { text.len() - back } else { text.len() };
    }
    text.len()
}

/// Text for messages and names: one line, plain, whatever the bytes are.
pub(crate) fn visible(bytes: &[u8]) -> String {
    let mut shown = Vec::new();
    show(&mut shown, bytes, Look { colour: false, terminal: false });
    String::from_utf8_lossy(&shown).into_owned()
}

/// The text in at most so many columns; marked if it was cut.
pub(crate) fn fitted(text: &str, columns: usize) -> String {
    /// No more of a text is looked at: characters without a width could go on for ever.
    const LONGEST: usize = 1000;
    if text.width() <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(CUT.width());
    // Characters change the widths of others, and what has none belongs to what stands before it.
    let begins = text.char_indices().filter(|(_, it)| it.width() != Some(0)).take(LONGEST);
    let fits = begins.map(|(at, _)| &text[..at]).take_while(|part| part.width() <= room);
    fits.last().unwrap_or_default().to_owned() + CUT
}

/// The text with spaces up to so many columns.
pub(crate) fn padded(text: &str, columns: usize) -> String {
    let spaces = columns.saturating_sub(text.width());
    format!("{text}{:spaces$}", "")
}
