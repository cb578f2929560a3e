//! The house: a room of `src/` imports only rooms that stand above it in the list, and no file is
//! longer than can be read at once.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

/// What users have to learn first.
const MOST_NAMES: usize = 45;

/// From the ground up. `lib.rs` states the same order.
const ROOMS: [&str; 15] = [
    "types",
    "restart",
    "sys",
    "asyncio",
    "command",
    "pipes",
    "log",
    "cell",
    "process",
    "subscribe",
    "read_loop",
    "waiting",
    "child",
    "spawn",
    "policy",
];

const LONGEST: usize = 500;

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(directory: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into);
        } else if path.extension().is_some_and(|it| it == "rs") {
            into.push(path);
        }
    }
}

/// The code without comments and without the tests at its end.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let lines = text.lines().map(|line| line.split("//").next().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

/// The paths of a tree of imports: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn paths(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        return vec![tree.split(" as ").next().unwrap().trim().to_owned()];
    };
    let inner = &tree[open + 1..tree.rfind('}').unwrap()];
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, character) in inner.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inner[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[start..]);
    let parts = parts.into_iter().filter(|part| !part.trim().is_empty());
    parts.flat_map(paths).map(|rest| format!("{}{rest}", &tree[..open])).collect()
}

/// What `use` trees import, and what is named by its whole path in between.
fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = String::new();
    for (place, part) in code.split("use crate::").enumerate() {
        let after = if place == 0 {
            part
        } else {
            let end = part.find(';').unwrap();
            found.extend(paths(&part[..end]));
            &part[end..]
        };
        rest.push_str(after);
    }
    for path in rest.split("crate::").skip(1) {
        let end = path.find(|it: char| !it.is_alphanumeric() && it != '_' && it != ':');
        found.push(path[..end.unwrap_or(path.len())].to_owned());
    }
    found
}

/// The room of each name that the crate's root exports.
fn exports() -> HashMap<String, String> {
    let root = code(&fs::read_to_string(source().join("lib.rs")).unwrap());
    let trees = root.split("pub use ").skip(1).map(|part| part.split(';').next().unwrap());
    let names = trees.flat_map(paths).filter_map(|path| {
        let (room, name) = path.trim_start_matches("crate::").split_once("::")?;
        Some((name.rsplit("::").next()?.to_owned(), room.to_owned()))
    });
    names.collect()
}

#[test]
fn each_room_imports_only_those_above_it() {
    let exports = exports();
    let level = |room: &str| ROOMS.iter().position(|it| *it == room);
    let mut all = Vec::new();
    files(&source(), &mut all);
    let mut wrong = Vec::new();
    let mut seen = 0;
    for file in &all {
        let below = file.strip_prefix(source()).unwrap();
        let room = below.iter().next().unwrap().to_str().unwrap();
        // They export what the rooms have.
        if ["lib.rs", "error.rs", "recipes.rs"].contains(&room) {
            continue;
        }
        let own = level(room).unwrap_or_else(|| panic!("{room} is not in the list of rooms"));
        for import in imports(&code(&fs::read_to_string(file).unwrap())) {
            let name = import.split("::").next().unwrap();
            let to = exports.get(name).map_or(name, String::as_str);
            if to == "nix" {
                continue;
            }
            let its = level(to).unwrap_or_else(|| panic!("{}: crate::{import}", below.display()));
            seen += 1;
            if its > own {
                wrong.push(format!("{}: crate::{import} is in {to}", below.display()));
            }
        }
    }
    assert!(seen > 300, "only {seen} imports were found");
    assert!(wrong.is_empty(), "imports of rooms below:\n{}", wrong.join("\n"));
}

#[test]
fn no_file_is_longer_than_can_be_read_at_once() {
    let mut all = Vec::new();
    files(&source(), &mut all);
    let lines = |file: &PathBuf| {
        let text = fs::read_to_string(file).unwrap();
        text.split("#[cfg(test)]\nmod tests").next().unwrap().lines().count()
    };
    let long: Vec<_> = all.iter().filter(|file| lines(file) > LONGEST).collect();
    assert!(long.is_empty(), "{long:?}");
}

#[test]
fn the_root_has_the_names_that_most_users_need_and_no_more() {
    let text = fs::read_to_string(source().join("lib.rs")).unwrap();
    let public = text.split("// Points at which").next().unwrap();
    let trees = public.split("\npub use ").skip(1).map(|part| part.split(';').next().unwrap());
    let names: Vec<_> = trees.flat_map(paths).filter(|path| path != "log::recording").collect();
    assert!((30..=MOST_NAMES).contains(&names.len()), "{}: {names:?}", names.len());
}
