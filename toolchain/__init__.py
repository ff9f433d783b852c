"""Where `pulumi` and its plugins come from. Light on purpose: installed plugins carry this file too."""
