//! What the parent and the nodes say to each other: a line of plain text for each order or report.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Write},
    str::{FromStr, SplitWhitespace},
};

use anyhow::{Context, bail};
use mosaik::PeerId;

/// From the parent to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Send a burst of readings, as fast as they are taken.
    Burst,
    /// Send at a steady pace, from now on.
    Steady,
    /// Send no more.
    Pause,
    /// Join the group.
    Join,
    /// Count in it, from now on.
    Count,
    /// Count no more.
    Halt,
    /// Say what the group's state is.
    Read,
    /// Say goodbye, and end.
    Leave,
}

impl Order {
    pub fn parse(line: &str) -> anyhow::Result<Self> {
        Ok(match line {
            "burst" => Self::Burst,
            "steady" => Self::Steady,
            "pause" => Self::Pause,
            "join" => Self::Join,
            "count" => Self::Count,
            "halt" => Self::Halt,
            "read" => Self::Read,
            "leave" => Self::Leave,
            other => bail!("`{other}` is no order"),
        })
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Burst => "burst",
            Self::Steady => "steady",
            Self::Pause => "pause",
            Self::Join => "join",
            Self::Count => "count",
            Self::Halt => "halt",
            Self::Read => "read",
            Self::Leave => "leave",
        })
    }
}

/// From a node to its parent.
#[derive(Debug)]
pub enum Report {
    /// The node is up, under this id.
    Up(PeerId),
    /// Somebody was discovered.
    Met(PeerId),
    /// Somebody has left the catalog.
    Departed(PeerId),
    /// The readings of this node come here from now on.
    Hears(PeerId),
    /// They come no more.
    Lost(PeerId),
    /// As many readings were sent, in all.
    Sent(u64),
    /// So many came from this node so far.
    Heard(PeerId, Tally),
    /// This node leads the group.
    Leads(PeerId),
    /// The node has counted so far, and the group has agreed.
    Counted(u64),
    /// The same, and it counts no further.
    Halted(u64),
    /// The group's state: how far each has counted.
    Read(BTreeMap<PeerId, u64>),
}

/// The readings that came from one node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// The number of the first.
    pub first: u64,
    /// The number of the last.
    pub last: u64,
    /// How many did not have the number after that of the one before: lost, doubled or disordered.
    pub gaps: u64,
    /// The last temperature.
    pub celsius: f64,
}

impl Tally {
    pub fn count(&mut self, number: u64, celsius: f64) {
        if self.count == 0 {
            self.first = number;
        } else if number != self.last + 1 {
            self.gaps += 1;
        }
        self.count += 1;
        self.last = number;
        self.celsius = celsius;
    }

    /// Whether all that was sent since the first has come, once and in order, up to this number.
    pub fn is_complete(&self, first: u64, last: u64) -> bool {
        let expected = Self { count: last + 1 - first, first, last, gaps: 0, ..self.clone() };
        *self == expected
    }
}

impl Report {
    pub fn say(&self) {
        // A parent that is gone closes the node's input as well, which ends it.
        let _ = writeln!(io::stdout(), "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up(id) => write!(f, "up {id}"),
            Self::Met(id) => write!(f, "met {id}"),
            Self::Departed(id) => write!(f, "departed {id}"),
            Self::Hears(id) => write!(f, "hears {id}"),
            Self::Lost(id) => write!(f, "lost {id}"),
            Self::Sent(total) => write!(f, "sent {total}"),
            Self::Leads(id) => write!(f, "leads {id}"),
            Self::Counted(count) => write!(f, "counted {count}"),
            Self::Halted(count) => write!(f, "halted {count}"),
            Self::Read(counts) => {
                f.write_str("read")?;
                counts.iter().try_for_each(|(id, count)| write!(f, " {id} {count}"))
            }
            Self::Heard(id, Tally { count, first, last, gaps, celsius }) => {
                write!(f, "heard {id} {count} {first} {last} {gaps} {celsius}")
            }
        }
    }
}

impl FromStr for Report {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> anyhow::Result<Self> {
        let mut words = line.split_whitespace();
        Ok(match words.next().context("an empty report")? {
            "up" => Self::Up(next(&mut words)?),
            "met" => Self::Met(next(&mut words)?),
            "departed" => Self::Departed(next(&mut words)?),
            "hears" => Self::Hears(next(&mut words)?),
            "lost" => Self::Lost(next(&mut words)?),
            "sent" => Self::Sent(next(&mut words)?),
            "leads" => Self::Leads(next(&mut words)?),
            "counted" => Self::Counted(next(&mut words)?),
            "halted" => Self::Halted(next(&mut words)?),
            "read" => {
                let mut counts = BTreeMap::new();
                while let Some(id) = words.next() {
                    counts.insert(id.parse()?, next(&mut words)?);
                }
                Self::Read(counts)
            }
            "heard" => {
                let id = next(&mut words)?;
                let (count, first) = (next(&mut words)?, next(&mut words)?);
                let (last, gaps, celsius) =
                    (next(&mut words)?, next(&mut words)?, next(&mut words)?);
                Self::Heard(id, Tally { count, first, last, gaps, celsius })
            }
            other => bail!("`{other}` is no report"),
        })
    }
}

fn next<T>(words: &mut SplitWhitespace<'_>) -> anyhow::Result<T>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    Ok(words.next().context("a report is too short")?.parse()?)
}
