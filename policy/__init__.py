"""The rules of settings/tier_rules.py as a policy pack, and the same predicates asked of resources."""
