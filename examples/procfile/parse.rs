//! Procfiles: a line `name: command` for each process. A command is bytes for the shell, whatever
//! they are encoded in; a name is text.

use std::{ffi::OsString, os::unix::ffi::OsStringExt};

use super::tool::{fitted, visible};

/// How many columns of a wrong line are told.
const TOLD: usize = 60;

/// What some editors put in front of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) command: OsString,
}

/// Reads a Procfile. Empty lines and lines that begin with `#` are passed over.
pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<Process>, String> {
    let mut processes: Vec<Process> = Vec::new();
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let Some((name, command)) = split(line) else {
            let found = fitted(&visible(line), TOLD);
            return Err(format!("line {number}: expected `name: command`, found `{found}`"));
        };
        if processes.iter().any(|process| process.name == name) {
            return Err(format!("line {number}: there are two processes `{name}`"));
        }
        let command = OsString::from_vec(command.to_vec());
        processes.push(Process { name: name.to_owned(), command });
    }
    if processes.is_empty() {
        return Err("it names no process".to_owned());
    }
    Ok(processes)
}

fn split(line: &[u8]) -> Option<(&str, &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = std::str::from_utf8(&line[..colon]).ok()?.trim();
    let command = line[colon + 1..].trim_ascii();
    (is_name(name) && !command.is_empty()).then_some((name, command))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|it| it.is_alphanumeric() || "_-.".contains(it))
}
