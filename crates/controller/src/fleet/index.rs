//! A gateway's instances by id: a sorted vector of (id, row).
//!
//! Agents declare instances in order and rarely change them, so inserting at the end is the usual case, and a vector
//! costs 24 bytes an instance where a tree map costs half as much again.

use mooring_core::id::InstanceId;

/// Instances by id.
#[derive(Debug, Default)]
pub struct Index(Vec<(InstanceId, u32)>);

impl Index {
    fn find(&self, id: &InstanceId) -> Result<usize, usize> {
        match self.0.last() {
            Some((last, _)) if last < id => Err(self.0.len()),
            _ => self.0.binary_search_by(|(known, _)| known.cmp(id)),
        }
    }

    /// The row of an instance.
    #[must_use]
    pub fn get(&self, id: &InstanceId) -> Option<&u32> {
        self.find(id).ok().map(|at| &self.0[at].1)
    }

    /// Puts an instance in, in place of one of the same id.
    pub fn insert(&mut self, id: InstanceId, row: u32) {
        match self.find(&id) {
            Ok(at) => self.0[at].1 = row,
            Err(at) => self.0.insert(at, (id, row)),
        }
    }

    /// Takes an instance out; returns its row.
    pub fn remove(&mut self, id: &InstanceId) -> Option<u32> {
        self.find(id).ok().map(|at| self.0.remove(at).1)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Ids and rows, by id.
    pub fn iter(&self) -> impl Iterator<Item = (&InstanceId, &u32)> {
        self.0.iter().map(|(id, row)| (id, row))
    }

    /// Ids, in order.
    pub fn keys(&self) -> impl Iterator<Item = &InstanceId> {
        self.0.iter().map(|(id, _)| id)
    }

    /// Rows, in the order of their ids.
    pub fn values(&self) -> impl Iterator<Item = &u32> {
        self.0.iter().map(|(_, row)| row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_sorted_map() {
        let id = |n: u32| InstanceId::new(format!("i{n}")).unwrap();
        let mut index = Index::default();
        for n in [3, 1, 2, 5, 4] {
            index.insert(id(n), n);
        }
        index.insert(id(3), 30);
        assert_eq!(index.values().copied().collect::<Vec<_>>(), [1, 2, 30, 4, 5]);
        assert_eq!(
            (index.remove(&id(2)), index.remove(&id(2)), index.get(&id(4))),
            (Some(2), None, Some(&4))
        );
        assert_eq!((index.len(), index.is_empty()), (4, false));
    }
}
