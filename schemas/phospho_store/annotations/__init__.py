"""Labels, notes and judgements: facts that correct what detection found."""
