//! Procfiles: a line `name: command` for each process.

/// One process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) command: String,
}

/// Reads a Procfile's text. Empty lines and lines that begin with `#` are passed over.
pub(crate) fn parse(text: &str) -> Result<Vec<Process>, String> {
    let mut processes: Vec<Process> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let split = line.split_once(':').map(|(name, command)| (name.trim(), command.trim()));
        let (name, command) = match split {
            Some((name, command)) if is_name(name) && !command.is_empty() => (name, command),
            _ => return Err(format!("line {number}: expected `name: command`, found `{line}`")),
        };
        if processes.iter().any(|process| process.name == name) {
            return Err(format!("line {number}: there are two processes `{name}`"));
        }
        processes.push(Process { name: name.to_owned(), command: command.to_owned() });
    }
    if processes.is_empty() {
        return Err("it names no process".to_owned());
    }
    Ok(processes)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|it| it.is_alphanumeric() || "_-.".contains(it))
}
