//! What a user can type.

use actix::prelude::*;

use super::tool::{fitted, visible};

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Restart,
    Stop,
}

/// How many columns of a wrong word are told.
const TOLD: usize = 40;

/// What to type.
const COMMANDS: &str = "type `restart NAME` or `stop NAME`";

/// A line that the user typed.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Request(pub(crate) Vec<u8>);

impl Request {
    /// The numbers of the names that are meant, or what is wrong. `None` for an empty line.
    pub(crate) fn understood(&self, names: &[&str]) -> Option<Result<(Verb, Vec<usize>), String>> {
        // Some terminals and programs end a line by `\r\n`.
        let text = visible(self.0.trim_ascii());
        let mut words = text.split_whitespace();
        let verb = match words.next()? {
            "restart" => Verb::Restart,
            "stop" => Verb::Stop,
            other => {
                return Some(Err(format!(
                    "unknown command `{}`: {COMMANDS}; {}",
                    fitted(other, TOLD),
                    there(names)
                )));
            }
        };
        let place = |word: &str| {
            let at = names.iter().position(|name| *name == word);
            at.ok_or_else(|| {
                format!("there is no process `{}`; {}", fitted(word, TOLD), there(names))
            })
        };
        let places: Result<Vec<_>, _> = words.map(place).collect();
        Some(match places {
            Ok(places) if places.is_empty() => {
                Err(format!("no name: {COMMANDS}; {}", there(names)))
            }
            places => places.map(|places| (verb, places)),
        })
    }
}

fn there(names: &[&str]) -> String {
    format!("the names are: {}", names.join(", "))
}
