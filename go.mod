module safeload

go 1.26
