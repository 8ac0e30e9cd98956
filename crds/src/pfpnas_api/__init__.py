"""The contract of PFP-NAS: whatever crosses a process boundary is defined here, and nothing else is."""
