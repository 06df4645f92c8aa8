//! What the core is known to get wrong, and how the simulation goes around it. Each has to be mended
//! there, and taken out here.

/// A file that was unknown for long is needed after all when its message, which was rejected all that
/// time, is accepted between the janitor's last look and the deletion. Around it: what providers keep is
/// not listed.
pub(crate) const ORPHANS_MAY_YET_BE_NEEDED: bool = true;

/// A message that had its place in the outbox before its batch was archived is called back although a
/// revision of the same correspondent was left in the store meanwhile, and is then read in front of it.
/// Around it: revisions may come while another callback is open.
pub(crate) const REVISIONS_ARE_OVERTAKEN: bool = true;
