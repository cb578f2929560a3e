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
        let Some(name) = as_name(name) else {
            let name = fitted(&visible(name), TOLD);
            return Err(format!(
                "line {number}: the name `{name}` may have letters, digits, `_`, `-` and `.` only"
            ));
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

fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, command) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
    (!name.is_empty() && !command.is_empty()).then_some((name, command))
}

fn as_name(name: &[u8]) -> Option<&str> {
    let is_part = |it: char| it.is_alphanumeric() || "_-.".contains(it);
    std::str::from_utf8(name).ok().filter(|name| name.chars().all(is_part))
}
