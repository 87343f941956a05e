//! Rebuilds when a migration is added: `sqlx::migrate!` embeds the folder, and Cargo does not know.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
