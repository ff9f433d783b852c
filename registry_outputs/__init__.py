"""The outputs of a registry's stack: `contract` says what they are, `reader` reads them in another Pulumi program."""
