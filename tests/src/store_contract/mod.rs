//! The store contract: what every implementation of the port must do, as cases over `dyn Store`.
//!
//! Owns the cases. Each is `async fn case(store: &dyn Store, clock: &TestClock)` on an empty store that
//! judges time by that clock, and says in its doc comment what it shows and how. Requests are asked
//! through a [`Rig`], mostly twice, because every request is idempotent.
//!
//! An implementation runs all cases, one test each, by
//! `anteroom_tests::store_contract!(fresh)`, where `async fn fresh(clock: Clock) -> T` makes an empty
//! store and `T: AsRef<dyn Store>` keeps alive what the store needs (a directory, a server).

pub mod archive;
pub mod backlog;
pub mod callbacks;
pub mod claims;
pub mod fencing;
pub mod fixtures;
pub mod inserts;
pub mod leases;
pub mod lists;
pub mod moves;
pub mod operator;
pub mod ownership;
pub mod rig;
pub mod sends;
pub mod sweeps;
pub mod transitions;

mod clock;

pub use clock::TestClock;
pub use rig::Rig;

/// Makes one `#[tokio::test]` of every case, for the stores that `$fresh` makes.
#[macro_export]
macro_rules! store_contract {
    ($fresh:ident) => {
        $crate::store_contract! { @cases tests $fresh }
    };
    (@tests $fresh:ident; $($module:ident: $($case:ident)*;)*) => {
        $(mod $module {
            $(#[tokio::test]
            async fn $case() {
                let clock = $crate::store_contract::TestClock::default();
                let home = super::$fresh(clock.as_clock()).await;
                let store: &dyn ::anteroom_runtime::store::Store = home.as_ref();
                $crate::store_contract::$module::$case(store, &clock).await;
                store.shutdown().await;
            })*
        })*
    };
    (@names $unused:ident; $($module:ident: $($case:ident)*;)*) => {
        &[$($((stringify!($module), stringify!($case)),)*)*]
    };
    (@cases $what:ident $fresh:ident) => {
        $crate::store_contract! { @$what $fresh;
            ownership:
                a_registered_bot_keeps_its_record
                a_bot_has_one_owner
                an_ended_ownership_passes_with_a_higher_epoch
                a_released_bot_never_reuses_an_epoch
                renewing_names_the_bots_that_are_lost
                renewing_never_shortens
                a_singleton_has_one_holder_for_a_while;
            fencing:
                every_fenced_request_refuses_a_former_owner
                a_former_owner_of_an_empty_bot_is_refused
                the_owner_passes_every_fence
                bots_with_similar_ids_stay_apart
                an_invalid_request_changes_nothing;
            inserts:
                an_inserted_job_is_kept_whole
                an_insert_with_a_lease_claims_at_once
                a_batch_answers_each_job
                a_providers_message_is_known_wherever_it_is
                a_media_id_belongs_to_one_message
                an_insert_repeated_after_the_end_makes_no_second_job
                the_next_id_is_behind_archive_and_jobs
                a_job_in_back_off_takes_no_lease;
            claims:
                a_claim_leases_a_job
                bots_take_turns_oldest_first
                a_long_backlog_starves_nobody
                equal_ages_go_by_media_id
                pools_are_apart
                held_jobs_are_not_claimed
                a_claim_says_when_the_next_back_off_ends
                a_repeated_token_gets_the_same_jobs
                racing_claimers_share_no_job
                an_ended_lease_is_claimed_after_the_sweep;
            leases:
                renewing_prolongs_the_current_lease
                many_leases_are_renewed_at_once
                renewals_of_any_size_name_what_is_lost
                a_released_job_is_free_again
                the_first_result_wins
                completions_are_answered_each
                a_former_holder_is_refused
                an_ended_lease_still_completes_before_the_sweep
                a_failure_leaves_a_copy;
            moves:
                restoring_activates_and_keeps_everything
                restoring_goes_by_pages
                restored_jobs_that_wait_go_to_the_pools_of_now
                restored_jobs_are_leased_where_they_have_places
                restored_jobs_that_nobody_may_claim_get_no_place
                a_page_has_leased_jobs_in_their_places
                only_the_restored_page_is_active
                holding_counts_what_is_held
                a_live_lease_survives_the_move
                results_wait_in_pages;
            archive:
                places_grow_in_the_order_given
                a_message_is_kept_whole
                the_plan_decides_the_callback
                a_providers_message_is_archived_once
                a_providers_message_waiting_in_a_job_is_known
                a_duplicates_own_job_is_finished
                a_duplicate_leaves_a_job_that_it_may_not_end
                a_stored_result_ends_with_its_message
                a_result_made_here_is_durable_with_its_message
                a_stale_token_stores_nothing
                what_makes_no_sense_is_refused
                archiving_again_leaves_a_retry_alone;
            callbacks:
                a_bots_callbacks_come_in_archive_order
                a_correspondents_callbacks_come_in_either_order
                a_page_serves_several_correspondents
                a_page_raises_the_attempts_of_what_it_returns
                a_page_gives_first_attempts_to_their_owner
                raising_counts_attempts_and_refusals
                a_callback_ends_once
                a_mark_of_what_was_never_sent_is_unknown
                a_reply_is_durable_with_the_mark;
            sends:
                a_send_is_known_by_its_key
                sends_are_owed_until_confirmed
                confirmed_sends_are_dropped_with_the_archive;
            operator:
                a_discarded_job_ends_as_a_result
                a_result_is_not_discarded
                a_retry_waits_for_the_callback
                a_retry_goes_to_the_pool_of_now
                a_retry_waits_for_no_callback_that_is_not_owed
                a_retry_begins_the_next_revision
                a_revision_is_owed_behind_the_rest
                a_failed_revision_can_be_retried
                a_failed_revision_keeps_what_was_given_up
                revisions_follow_one_another
                a_revision_is_the_same_message
                an_undeliverable_callback_is_owed_anew
                a_late_redelivery_owes_nothing
                what_was_given_up_may_be_acknowledged
                what_is_settled_is_not_owed_anew;
            sweeps:
                ended_leases_are_taken_away
                a_sweep_is_bounded_and_goes_on
                a_job_that_loses_every_worker_is_given_up
                active_jobs_expire_for_their_running_bot
                holding_jobs_expire_for_any_bot
                media_are_known_while_anything_needs_them
                failed_copies_are_dropped_after_their_time
                a_retry_keeps_its_file
                archived_messages_are_dropped_but_never_the_highest
                the_highest_is_dropped_after_a_higher_one
                dropped_rows_free_no_place;
            transitions:
                every_command_on_active_jobs
                every_command_on_holding_jobs
                every_command_on_active_retries
                every_command_on_holding_retries
                a_message_is_archived_by_one_way_only;
        }
    };
}

#[cfg(test)]
mod tests {
    /// Every case that runs.
    const CASES: &[(&str, &str)] = crate::store_contract! { @cases names none };

    /// Goal: no case is written and then never run. Method: the sources are searched for cases, and
    /// each must be in the list.
    #[test]
    fn every_case_is_in_the_list() {
        let sources = [
            ("ownership", include_str!("ownership.rs")),
            ("fencing", include_str!("fencing.rs")),
            ("inserts", include_str!("inserts.rs")),
            ("claims", include_str!("claims.rs")),
            ("leases", include_str!("leases.rs")),
            ("moves", include_str!("moves.rs")),
            ("archive", include_str!("archive.rs")),
            ("callbacks", include_str!("callbacks.rs")),
            ("sends", include_str!("sends.rs")),
            ("operator", include_str!("operator.rs")),
            ("sweeps", include_str!("sweeps.rs")),
            ("transitions", include_str!("transitions.rs")),
        ];
        for (module, source) in sources {
            let cases = source.lines().filter_map(|line| line.strip_prefix("pub async fn "));
            let cases = cases.filter_map(|rest| rest.split('(').next());
            let listed =
                CASES.iter().filter(|(listed, _)| *listed == module).map(|(_, case)| *case);
            assert_eq!(cases.collect::<Vec<_>>(), listed.collect::<Vec<_>>(), "{module}");
        }
    }
}
