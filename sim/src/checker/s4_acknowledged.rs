//! S4: what was acknowledged is durable and stays so. A placeholder is durable as its job, and never
//! archived or called back; an acknowledged message is never evicted.

use std::collections::BTreeMap;

use anteroom_core::id::{BotId, MessageId};
use anteroom_core::store::StoreRequest;

use super::Judge;
use super::seen::{Scene, Seen, Told};
use crate::plan::MessageName;

#[derive(Default)]
pub(super) struct Acknowledged {
    accepted: BTreeMap<MessageName, (BotId, MessageId)>,
}

impl Acknowledged {
    fn told(
        &mut self,
        bot_id: &BotId,
        name: &MessageName,
        told: Told,
        scene: &Scene<'_>,
    ) -> Result<(), String> {
        match told {
            Told::Accepted(id) | Told::Duplicate(id) => {
                self.accepted.insert(name.clone(), (bot_id.clone(), id));
                is_durable(name, bot_id, id, scene)
            }
            // A resend that was not told apart yet may be given up; the message itself may not.
            Told::Evicted(_) | Told::Rejected(_) => match self.accepted.get(name) {
                Some((bot_id, id)) => is_durable(name, bot_id, *id, scene),
                None => Ok(()),
            },
        }
    }

    /// Whether everything that was acknowledged is still there.
    fn all_durable(&self, scene: &Scene<'_>) -> Result<(), String> {
        let mut accepted = self.accepted.iter();
        accepted.try_for_each(|(name, (bot_id, id))| is_durable(name, bot_id, *id, scene))
    }
}

fn is_durable(
    name: &MessageName,
    bot_id: &BotId,
    id: MessageId,
    scene: &Scene<'_>,
) -> Result<(), String> {
    let MessageName { correspondent_id, provider_message_id, .. } = name;
    let stored = scene.store.id_of(bot_id, correspondent_id, provider_message_id);
    if stored == Some(id) {
        return Ok(());
    }
    Err(format!(
        "{bot_id}/{correspondent_id}/{provider_message_id} was acknowledged as {id}, and the store \
         has it as {stored:?}"
    ))
}

impl Judge for Acknowledged {
    fn see(&mut self, seen: &Seen<'_>, scene: &Scene<'_>) -> Result<(), String> {
        match seen {
            Seen::Receipted { bot_id, name, told, .. } => self.told(bot_id, name, *told, scene),
            Seen::Booted { .. } | Seen::Died { .. } => self.all_durable(scene),
            Seen::CallbackSent { callback, .. } if callback.message.is_placeholder() => {
                Err(format!("the placeholder {} is called back", callback.message.id))
            }
            Seen::Applied { request: StoreRequest::Archive { items, .. }, .. } => {
                match items.iter().find(|item| item.message.is_placeholder()) {
                    Some(item) => Err(format!("the placeholder {} is archived", item.message.id)),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use anteroom_core::receipt::{EvictReason, Origin};

    use super::super::stage::{Stage, callback_of};
    use super::*;

    fn tell(rule: &mut Acknowledged, stage: &Stage, name: &str, told: Told) -> Result<(), String> {
        let (name, _) = stage.draft(name, "hello");
        let origin = Origin::Request { request_id: anteroom_core::id::RequestId(1) };
        let bot_id = &stage.bot_id;
        rule.see(&Seen::Receipted { node: 0, bot_id, origin, name: &name, told }, &stage.scene())
    }

    /// Goal: an acknowledgement of what is durable is fine, of what is not, or under another id, is
    /// found.
    #[test]
    fn only_what_is_durable_is_acknowledged() {
        let mut stage = Stage::new();
        let message = stage.archive_text("m1", "hello");
        let mut rule = Acknowledged::default();
        assert_eq!(tell(&mut rule, &stage, "m1", Told::Accepted(message.id)), Ok(()));
        assert!(tell(&mut rule, &stage, "m1", Told::Duplicate(message.id.next())).is_err());
        assert!(tell(&mut rule, &stage, "m2", Told::Accepted(message.id.next())).is_err());
    }

    /// Goal: a message that was acknowledged and then vanished, or was evicted, is found.
    #[test]
    fn what_was_acknowledged_stays() {
        let mut stage = Stage::new();
        let message = stage.archive_text("m1", "hello");
        let mut rule = Acknowledged::default();
        tell(&mut rule, &stage, "m1", Told::Accepted(message.id)).expect("it is durable");
        assert_eq!(tell(&mut rule, &stage, "m1", Told::Evicted(EvictReason::Age)), Ok(()));
        let emptied = Stage::new();
        assert!(tell(&mut rule, &emptied, "m1", Told::Evicted(EvictReason::Age)).is_err());
        assert!(rule.see(&Seen::Died { node: 0 }, &emptied.scene()).is_err());
    }

    /// Goal: placeholders that are archived or called back are found.
    #[test]
    fn placeholders_stay_inside() {
        let mut stage = Stage::new();
        let placeholder = stage.placeholder("m1", 1);
        let callback = callback_of(&std::sync::Arc::new(placeholder.clone()));
        let (node_now, bot_id) = (stage.now, stage.bot_id.clone());
        let sent = Seen::CallbackSent { node: 0, node_now, bot_id: &bot_id, callback: &callback };
        assert!(Acknowledged::default().see(&sent, &stage.scene()).is_err());
        let (request, result) = stage.archived(placeholder);
        let seen = Seen::Applied { by: None, request: &request, result: &result, lost: false };
        assert!(Acknowledged::default().see(&seen, &stage.scene()).is_err());
    }
}
