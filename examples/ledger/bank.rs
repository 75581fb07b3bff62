//! The bank: a plain type, whose methods the members of a group agree upon.

use std::{collections::BTreeMap, fmt};

/// What every member holds a copy of.
///
/// Three members found the bank, and two of them must agree to each command from then on.
#[mosaik::group_state("examples.ledger", quorum = 3)]
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    accounts: BTreeMap<String, u64>,
}

/// Why the bank does not do what it is asked. It travels, as all that commands return.
#[mosaik::data]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such account.
    Unknown,
    /// There is less in the account than that.
    Insufficient { balance: u64 },
    /// The other account cannot hold so much.
    TooMuch,
}

/// `&mut self` makes a command: every member calls it, in the same order. `&self` makes a query.
#[mosaik::group_state]
impl Ledger {
    /// Adds to an account, which is opened if it is new, and returns its balance.
    pub fn deposit(&mut self, account: String, amount: u64) -> Result<u64, Refusal> {
        let balance = self.accounts.get(&account).copied().unwrap_or(0);
        let balance = balance.checked_add(amount).ok_or(Refusal::TooMuch)?;
        self.accounts.insert(account, balance);
        Ok(balance)
    }

    /// Moves an amount from one account to another, and returns what is left in the first.
    pub fn transfer(&mut self, from: String, to: String, amount: u64) -> Result<u64, Refusal> {
        let balance = *self.accounts.get(&from).ok_or(Refusal::Unknown)?;
        let left = balance.checked_sub(amount).ok_or(Refusal::Insufficient { balance })?;
        if from == to {
            return Ok(balance);
        }
        // What can be refused is refused before anything has changed.
        self.deposit(to, amount)?;
        self.accounts.insert(from, left);
        Ok(left)
    }

    /// What is in an account.
    pub fn balance(&self, account: String) -> Option<u64> {
        self.accounts.get(&account).copied()
    }

    /// All accounts.
    pub fn accounts(&self) -> BTreeMap<String, u64> {
        self.accounts.clone()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("there is no such account"),
            Self::Insufficient { balance } => write!(f, "there is only {balance}"),
            Self::TooMuch => f.write_str("that is more than an account can hold"),
        }
    }
}
