"""What a sweep wants and what is missing: identities, trials, alignments and barriers, desired minus done."""
