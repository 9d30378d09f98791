"""`python -m modelbundle_conformance`."""

from modelbundle_conformance.cli import main

raise SystemExit(main())
