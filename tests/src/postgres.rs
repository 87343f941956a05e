//! One Postgres for the whole test run, and a database of its own for each test. Fault tests that stop the server start
//! one of their own.

use std::sync::atomic::{AtomicU32, Ordering};

use mooring_store_pg::private::PrivatePostgres;
use tokio::sync::OnceCell;

static SHARED: OnceCell<&'static PrivatePostgres> = OnceCell::const_new();
static NEXT: AtomicU32 = AtomicU32::new(0);

/// The URL of a new, empty database in the shared server.
///
/// # Panics
/// When no Postgres can be started.
pub async fn fresh_database() -> String {
    let server = SHARED
        .get_or_init(|| async {
            // It belongs to the runtime it was started on, which must therefore outlive every test's.
            let (tx, rx) = tokio::sync::oneshot::channel();
            std::thread::spawn(move || {
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(async {
                    let server = PrivatePostgres::temporary().await.expect("a private Postgres");
                    let server: &'static PrivatePostgres = Box::leak(Box::new(server));
                    let _ = tx.send(server);
                    std::future::pending::<()>().await;
                });
            });
            rx.await.expect("the shared Postgres starts")
        })
        .await;
    let name = format!("t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    server.create_database(&name).await.expect("a database");
    server.url(&name)
}
