from amb247.site.cli import main

raise SystemExit(main())
