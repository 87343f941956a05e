//! Closed lists of values, each with a stable name (configuration, API, metrics) and a stable code (wire, disk).

macro_rules! named {
    ($(#[$doc:meta])* $ty:ident: $int:ty { $( $(#[$vdoc:meta])* $v:ident = $code:literal, $name:literal; )* }) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
        )]
        #[serde(rename_all = "snake_case")]
        pub enum $ty { $( $(#[$vdoc])* $v, )* }

        impl $ty {
            /// Every value.
            pub const ALL: &'static [$ty] = &[ $( $ty::$v, )* ];

            /// Stable name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $( $ty::$v => $name, )* }
            }

            /// Stable code, on the wire and on disk.
            #[must_use]
            pub fn code(self) -> $int {
                match self { $( $ty::$v => $code, )* }
            }

            /// The value with this code.
            #[must_use]
            pub fn from_code(code: impl TryInto<$int>) -> Option<Self> {
                let code = code.try_into().ok()?;
                Self::ALL.iter().copied().find(|v| v.code() == code)
            }
        }

        impl std::fmt::Display for $ty {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl std::str::FromStr for $ty {
            type Err = String;
            fn from_str(s: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|v| v.name() == s).ok_or_else(|| {
                    let known: Vec<&str> = Self::ALL.iter().map(|v| v.name()).collect();
                    format!("`{s}` is not one of: {}", known.join(", "))
                })
            }
        }
    };
}

pub(crate) use named;
