//! An XML element as a client looks at it: a small tree.
//!
//! Spec: Namespaces in XML 1.0. Owns: the tree. Invariants: names are resolved; nothing is kept of prefixes, comments or
//! where text stood between children, since no stanza's meaning depends on them.
//! Not here: parsing (`stream`), writing (`xmpp::write`).

/// An element, its attributes, its children and its text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Element {
    /// Its namespace.
    pub ns: String,
    /// Its name.
    pub name: String,
    /// Attributes without a namespace, in the order of their names.
    pub attributes: Vec<(String, String)>,
    /// Elements in it.
    pub children: Vec<Element>,
    /// The text in it, joined.
    pub text: String,
}

impl Element {
    /// Whether it has this name in this namespace.
    pub fn is(&self, name: &str, ns: &str) -> bool {
        self.name == name && self.ns == ns
    }

    /// An attribute's value.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The first child with this name in this namespace.
    pub fn child(&self, name: &str, ns: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.is(name, ns))
    }
}
