"""Activity of people who do not exist, for somebody who has no log yet. It knows no rules and touches no world."""
