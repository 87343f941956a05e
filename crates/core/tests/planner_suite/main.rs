//! The planner: its cases, its plans, and both together with orders and gates in a small world.

mod case;
mod plan;
mod support;
mod world;
