//! What people want to do first. Each recipe is compiled and run as a test.
#![doc = include_str!("../docs/recipes.md")]
