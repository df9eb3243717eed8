"""Which videos show which action: folders, csv, public lists, and splits by video."""
