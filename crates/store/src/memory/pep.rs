//! One account's nodes in the reference back end.

use std::collections::BTreeMap;

use crate::pep::Item;
use crate::{Answer, PepOp, StoreError};

#[derive(Debug, Default)]
pub(super) struct Nodes {
    nodes: BTreeMap<Box<str>, Node>,
}

#[derive(Debug, Default)]
struct Node {
    config: Vec<u8>,
    /// Oldest first.
    items: Vec<Item>,
}

impl Node {
    fn trim(&mut self, items_max: u32) {
        let over = self.items.len().saturating_sub(items_max as usize);
        self.items.drain(..over);
    }
}

impl Nodes {
    pub(super) fn apply(&mut self, op: PepOp) -> Result<Answer, StoreError> {
        match op {
            PepOp::Nodes { .. } => {
                let nodes = self.nodes.iter().map(|(name, node)| (name.clone(), node.config.clone()));
                return Ok(Answer::Nodes(nodes.collect()));
            }
            PepOp::PutNode { node, config, items_max, nodes_max, .. } => {
                if !self.nodes.contains_key(&node) && self.nodes.len() >= nodes_max as usize {
                    return Err(StoreError::QuotaExceeded);
                }
                let node = self.nodes.entry(node).or_default();
                node.config = config;
                node.trim(items_max);
            }
            PepOp::DeleteNode { node, .. } => {
                self.nodes.remove(&node);
            }
            PepOp::Publish { node, id, payload, items_max, bytes_max, .. } => {
                if !self.nodes.contains_key(&node) {
                    return Err(StoreError::NoSuchItem);
                }
                let all = self.nodes.iter().flat_map(|(name, other)| {
                    let replaced = |item: &&Item| *name == node && item.id == id;
                    other.items.iter().filter(move |item| !replaced(item)).map(|item| item.payload.len())
                });
                if (all.sum::<usize>() + payload.len()) as u64 > bytes_max {
                    return Err(StoreError::QuotaExceeded);
                }
                let node = self.nodes.get_mut(&node).ok_or(StoreError::NoSuchItem)?;
                node.items.retain(|item| item.id != id);
                node.items.push(Item { id, payload });
                node.trim(items_max);
            }
            PepOp::Retract { node, id, .. } => {
                let items = &mut self.nodes.get_mut(&node).ok_or(StoreError::NoSuchItem)?.items;
                let at = items.iter().position(|item| item.id == id).ok_or(StoreError::NoSuchItem)?;
                items.remove(at);
            }
            PepOp::Purge { node, .. } => {
                if let Some(node) = self.nodes.get_mut(&node) {
                    node.items.clear();
                }
            }
            PepOp::Items { node, ids, limit, .. } => {
                let items = self.nodes.get(&node).map(|node| &node.items[..]).unwrap_or_default();
                let asked = items.iter().filter(|item| ids.is_empty() || ids.contains(&item.id));
                let mut items: Vec<Item> = asked.cloned().collect();
                items.drain(..items.len().saturating_sub(limit as usize));
                return Ok(Answer::Items(items));
            }
        }
        Ok(Answer::Done)
    }
}
