//! The store in memory passes the conformance suite.

use mooring_store::conformance;
use mooring_store::memory::MemoryStore;

#[tokio::test]
async fn the_store_in_memory_is_a_store() {
    conformance::all(|_| async { MemoryStore::new() }).await;
}
