# What `make install` puts where.
configure_file(posthaste.pc.in posthaste.pc @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/posthaste.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

install(DIRECTORY include/posthaste DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
	FILES_MATCHING PATTERN "*.h")
install(TARGETS ph-static ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
if(PH_SHARED)
	install(TARGETS ph-shared LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
endif()
if(TARGET ph-command)
	install(TARGETS ph-command RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endif()

if(EXISTS "${PROJECT_SOURCE_DIR}/cli/completions/posthaste")
	install(FILES cli/completions/posthaste
		DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions")
endif()
foreach(section 1 3 5 7 8)
	file(GLOB pages CONFIGURE_DEPENDS man/*.${section} man/man${section}/*.${section})
	if(pages)
		install(FILES ${pages} DESTINATION "${CMAKE_INSTALL_MANDIR}/man${section}")
	endif()
endforeach()
