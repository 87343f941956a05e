//! What every store does: one function per behaviour.
//!
//! Each behaviour gets a fresh, empty store of its own and panics with what differs. The suite knows the ports only, so
//! passing it is what it means to be a store; the simulation's in-memory store is trustworthy because the Postgres one
//! passes the very same functions. Concurrency is asked for by polling many calls at once: how they interleave is the
//! implementation's business, the outcome is not.

use std::future::Future;
use std::pin::Pin;

use crate::Store;

mod agents;
mod budgets;
mod events;
mod fixtures;
mod gates;
mod journal;
mod orders;
mod requests;
mod rules;
mod sessions;
mod steps;

/// A check, running.
pub type Checking<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// One behaviour.
#[derive(Clone, Copy)]
pub struct Behaviour {
    /// Its name: `module::function`.
    pub name: &'static str,
    /// Checks it on an empty store; panics with what differs.
    pub check: for<'a> fn(&'a dyn Store) -> Checking<'a>,
}

impl std::fmt::Debug for Behaviour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! behaviours {
    ($($module:ident :: $check:ident,)*) => {
        &[$(Behaviour {
            name: concat!(stringify!($module), "::", stringify!($check)),
            check: |store| Box::pin($module::$check(store)),
        },)*]
    };
}

/// Every behaviour.
pub const BEHAVIOURS: &[Behaviour] = behaviours![
    agents::epochs_rise_and_older_ones_cannot_write,
    agents::a_boot_resumes_only_what_it_synced,
    agents::an_agent_is_marked_offline_once,
    agents::last_seen_only_moves_forward,
    journal::a_report_counts_once,
    journal::what_was_declared_comes_back,
    journal::the_newest_of_a_batch_wins,
    journal::what_is_gone_is_gone_with_all_it_held,
    journal::what_is_not_declared_is_dropped_and_nothing_else,
    journal::a_large_snapshot_is_one_report,
    journal::a_batch_holds_many_agents,
    orders::an_order_is_made_with_event_and_case,
    orders::fences_rise_even_over_the_end_of_the_target,
    orders::one_live_order_per_target_and_across_its_gateway,
    orders::orders_page_from_the_newest,
    orders::a_target_must_be_declared,
    requests::the_same_id_is_the_same_order,
    requests::a_request_id_names_one_request,
    requests::validating_writes_nothing,
    requests::racing_tries_of_one_request_make_one_order,
    gates::refusals_are_counted_and_remembered_once_a_series,
    gates::pauses_shut_what_they_cover,
    gates::the_cooldown_looks_at_the_targets_last_order,
    gates::restarts_of_a_gateway_and_its_instances_are_counted,
    budgets::racing_orders_never_overspend_the_group,
    budgets::racing_orders_on_one_target_make_one,
    budgets::the_rate_counts_orders_that_have_ended,
    steps::a_step_applies_to_the_version_it_is_based_on,
    steps::several_steps_in_one_call,
    steps::every_field_of_an_order_is_kept,
    rules::policies_change_by_version,
    rules::a_policy_made_anew_has_a_new_version,
    rules::pauses_end_by_time_or_by_hand,
    rules::a_pause_is_made_once_per_request,
    rules::cases_are_kept_until_closed,
    events::every_kind_of_event_comes_back,
    events::events_page_both_ways,
    events::events_are_found_by_what_holds_their_subject,
    events::old_things_are_pruned_and_live_ones_kept,
    sessions::the_newest_numbers_of_a_gateway_are_kept,
    sessions::numbers_page_by_name,
    sessions::every_field_of_an_end_comes_back,
    sessions::ends_page_from_the_newest,
    sessions::what_is_kept_of_sessions_goes_with_their_gateway,
    sessions::ends_are_kept_up_to_an_age_and_a_number,
    sessions::orders_on_sessions_need_their_gateway_only,
    sessions::orders_on_sessions_pass_the_same_gates,
    sessions::restarts_are_not_spent_by_closing_sessions,
];

/// Checks every behaviour, each on a store that `fresh` makes.
///
/// # Panics
/// When the store behaves otherwise; what was being checked is printed to standard error first.
pub async fn all<F, Fut, S>(mut fresh: F)
where
    F: FnMut(&'static str) -> Fut,
    Fut: Future<Output = S>,
    S: Store,
{
    for behaviour in BEHAVIOURS {
        eprintln!("store behaviour {}", behaviour.name);
        let store = fresh(behaviour.name).await;
        (behaviour.check)(&store).await;
    }
}
