"""What an application keeps, encrypted at rest: sealed files on the disk, plain ones in memory while they are used."""
