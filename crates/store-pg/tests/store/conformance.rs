//! The store in Postgres is a store.

use mooring_store::conformance;

use crate::Server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_in_postgres_is_a_store() {
    let server = Server::start().await;
    conformance::all(|_| server.store()).await;
}
